package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what a process has used since it began.
type usage struct {
	cpu time.Duration
	rss int64 // bytes, now
}

// ticksPerSecond of /proc's times: USER_HZ, which is 100 on every Linux.
const ticksPerSecond = 100

func usageOf(pid int) (u usage, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // from the state on, field 3
	for _, at := range []int{14, 15} {
		ticks, err := strconv.ParseInt(fields[at-3], 10, 64)
		if err != nil {
			return u, fmt.Errorf("times of process %d: %w", pid, err)
		}
		u.cpu += time.Duration(ticks) * time.Second / ticksPerSecond
	}
	rss, err := strconv.ParseInt(fields[24-3], 10, 64)
	if err != nil {
		return u, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	u.rss = rss * int64(os.Getpagesize())
	return u, nil
}

// sectorBytes of the kernel's counts, whatever the device's own are.
const sectorBytes = 512

// deviceWritten is what the device of a folder has written since the machine began.
func deviceWritten(dir string) (int64, error) {
	var at unix.Stat_t
	if err := unix.Stat(dir, &at); err != nil {
		return 0, fmt.Errorf("device of %s: %w", dir, err)
	}
	major, minor := fmt.Sprint(unix.Major(at.Dev)), fmt.Sprint(unix.Minor(at.Dev))
	b, err := os.ReadFile("/proc/diskstats")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line) // major, minor, name, and the counts: the seventh is sectors written
		if len(f) > 9 && f[0] == major && f[1] == minor {
			n, err := strconv.ParseInt(f[9], 10, 64)
			return n * sectorBytes, err
		}
	}
	return 0, fmt.Errorf("the kernel does not count what device %s:%s of %s writes", major, minor, dir)
}

// ownCPU is what the bench itself has used.
func ownCPU() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// footprint is what a folder takes of its disk.
type footprint struct {
	bytes  int64 // allocated
	inodes int64
}

func footprintOf(dir string) (f footprint, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) { // the store works on
				return nil
			}
			return err
		}
		info, err := e.Info()
		if err != nil {
			return nil
		}
		f.inodes++
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			f.bytes += s.Blocks * 512
		}
		return nil
	})
	return f, err
}
