package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// Limits of waiting for a server.
const (
	startTimeout = 2 * time.Minute
	stopTimeout  = 30 * time.Second
)

// child is a server under measurement: a process of its own, so that its CPU is.
type child struct {
	command *exec.Cmd
	address string
	ended   chan error
}

var readyLine = regexp.MustCompile(`^ready\s+http://(\S+)`)

// spawn starts a server that says where it listens in its "ready" line.
func spawn(log string, env []string, name string, args ...string) (*child, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	c := &child{command: exec.Command(name, args...), ended: make(chan error, 1)}
	c.command.Env = append(os.Environ(), env...)
	c.command.Stderr = out
	c.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	told, err := c.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.command.Start(); err != nil {
		return nil, err
	}
	ready := make(chan string, 1)
	go func() {
		listen(told, ready)
		c.ended <- c.command.Wait()
	}()
	select {
	case c.address = <-ready:
		return c, nil
	case err := <-c.ended:
		return nil, fmt.Errorf("%s ended at once: %w; see %s", filepath.Base(name), err, log)
	case <-time.After(startTimeout):
		_ = c.command.Process.Kill()
		return nil, fmt.Errorf("%s was not ready in %v; see %s", filepath.Base(name), startTimeout, log)
	}
}

func listen(told io.Reader, ready chan<- string) {
	lines := bufio.NewScanner(told)
	for lines.Scan() {
		if m := readyLine.FindStringSubmatch(lines.Text()); m != nil {
			ready <- m[1]
		}
	}
}

func (c *child) usage() (usage, error) { return usageOf(c.command.Process.Pid) }

// stop ends the server in good order, or by force.
func (c *child) stop() error {
	if err := c.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-c.ended:
		return err
	case <-time.After(stopTimeout):
		return errors.Join(errors.New("it had to be killed"), c.kill())
	}
}

func (c *child) kill() error {
	err := c.command.Process.Kill()
	<-c.ended
	return err
}

// startTarn serves a store of its own folders under dir.
func startTarn(binary, dir string, keys credentials) (*child, error) {
	env := []string{"TARN_ACCESS_KEY=" + keys.access, "TARN_SECRET_KEY=" + keys.secret}
	return spawn(filepath.Join(dir, "tarn.log"), env, binary,
		"serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "tarn-data"), "--log-level", "warn")
}

// bareWord is the argument that makes this program the bare server.
const bareWord = "bare-server"

func startBare(dir string, keys credentials) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	env := []string{"BARE_ACCESS_KEY=" + keys.access, "BARE_SECRET_KEY=" + keys.secret}
	return spawn(filepath.Join(dir, "bare.log"), env, self, bareWord)
}
