package clients

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// server is a running `tarn serve`.
type server struct {
	binary, data, url string
	accessKey, secret string
	cmd               *exec.Cmd
	ended             chan error

	mu  sync.Mutex
	log bytes.Buffer
}

var readyLine = regexp.MustCompile(`^ready .*?(http://127\.0\.0\.1:\d+)`)

// binary is the program under test.
func binary(t *testing.T) string {
	t.Helper()
	name := os.Getenv("TARN_BINARY")
	if name == "" {
		name = built(t)
	}
	full, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return full
}

var build struct {
	once sync.Once
	name string
	err  error
}

// built makes the binary once where TARN_BINARY names none.
func built(t *testing.T) string {
	t.Helper()
	build.once.Do(func() {
		dir, err := os.MkdirTemp("", "tarn-binary-")
		if err != nil {
			build.err = err
			return
		}
		build.name = filepath.Join(dir, "tarn")
		out, err := exec.Command("go", "build", "-o", build.name, "github.com/tarnlake/tarn/cmd/tarn").CombinedOutput()
		if err != nil {
			build.err = &exec.Error{Name: string(out), Err: err}
		}
	})
	if build.err != nil {
		t.Fatal(build.err)
	}
	return build.name
}

func TestMain(m *testing.M) {
	status := m.Run()
	if build.name != "" {
		_ = os.RemoveAll(filepath.Dir(build.name))
	}
	os.Exit(status)
}

// start serves over fresh drives until the test ends.
func start(t *testing.T, flags ...string) *server {
	t.Helper()
	s := &server{binary: binary(t), data: filepath.Join(t.TempDir(), "data")}
	s.serve(t, flags...)
	t.Cleanup(func() { s.stop(t) })
	return s
}

// serve starts the process over the server's data and waits until it is ready.
func (s *server) serve(t *testing.T, flags ...string) {
	t.Helper()
	args := append([]string{"serve", "--data", s.data, "--listen", "127.0.0.1:0", "--extent-mib", "8"}, flags...)
	s.cmd = exec.Command(s.binary, args...)
	s.cmd.Env = append(os.Environ(), "TARN_ACCESS_KEY=", "TARN_SECRET_KEY=")
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stderr = &lockedWriter{s: s}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.ended = make(chan error, 1)
	ready := make(chan string, 1)
	go s.follow(out, ready)
	select {
	case s.url = <-ready:
	case err := <-s.ended:
		s.ended <- err
		t.Fatalf("tarn serve ended: %v\n%s", err, s.logged())
	case <-time.After(2 * time.Minute):
		_ = s.cmd.Process.Kill()
		t.Fatalf("tarn serve was not ready in two minutes\n%s", s.logged())
	}
	s.accessKey, s.secret = keyPair(t, filepath.Join(s.data, "credentials"))
}

func (s *server) follow(out io.Reader, ready chan<- string) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		_, _ = (&lockedWriter{s: s}).Write(append(lines.Bytes(), '\n'))
		if m := readyLine.FindStringSubmatch(lines.Text()); m != nil {
			ready <- m[1]
		}
	}
	s.ended <- s.cmd.Wait()
}

type lockedWriter struct{ s *server }

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	return w.s.log.Write(p)
}

func (s *server) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// stop sends SIGTERM and returns how long the process took to end.
func (s *server) stop(t *testing.T) time.Duration {
	t.Helper()
	begun := time.Now()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-s.ended:
		s.ended <- err
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.logged())
		}
	case <-time.After(30 * time.Second):
		_ = s.cmd.Process.Kill()
		t.Errorf("tarn serve did not end within 30 s of SIGTERM\n%s", s.logged())
	}
	return time.Since(begun)
}

func keyPair(t *testing.T, name string) (accessKey, secret string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the credentials file has mode %v, %v", info.Mode(), err)
	}
	for _, line := range strings.Fields(string(text)) {
		name, value, _ := strings.Cut(line, "=")
		switch name {
		case "TARN_ACCESS_KEY":
			accessKey = value
		case "TARN_SECRET_KEY":
			secret = value
		}
	}
	return accessKey, secret
}

// tarn runs a command against the server; it returns stdout, stderr and the exit status.
func (s *server) tarn(t *testing.T, stdin string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.binary, append([]string{"--endpoint", s.url, "--credentials", filepath.Join(s.data, "credentials")}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit, ok := err.(*exec.ExitError); ok {
		return out.String(), errs.String(), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), 0
}

// must runs a command that has to succeed.
func (s *server) must(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, status := s.tarn(t, "", args...)
	if status != 0 {
		t.Fatalf("tarn %s: status %d: %s", strings.Join(args, " "), status, errs)
	}
	return out
}
