package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// usage is what a process has used since it began.
type usage struct {
	cpu          time.Duration
	rss          int64 // bytes, now
	writtenBytes int64 // that it caused to be written to disks
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
	u.writtenBytes, err = writtenBy(pid)
	return u, err
}

func writtenBy(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		if n, ok := strings.CutPrefix(lines.Text(), "write_bytes: "); ok {
			return strconv.ParseInt(n, 10, 64)
		}
	}
	return 0, fmt.Errorf("process %d does not tell what it wrote", pid)
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
