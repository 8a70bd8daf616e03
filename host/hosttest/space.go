package hosttest

import (
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const capacityDefault = 1 << 40

// SetCapacity limits the bytes that the files below dir take together; the
// deepest limited folder above a file counts for it. A write beyond is done in
// part and fails with ENOSPC. 0 lifts the limit.
func (d *Disk) SetCapacity(dir string, bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if bytes == 0 {
		delete(d.capacity, clean(dir))
	} else {
		d.capacity[clean(dir)] = bytes
	}
}

// GetDiskUsage tells the space of the limited folder, or of the drive, that path lies in.
func (d *Disk) GetDiskUsage(path string) (vfs.DiskUsage, error) {
	op := Op{Kind: Usage, Path: path}
	if err := d.begin(op); err != nil {
		return vfs.DiskUsage{}, failed(op, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	dir, total := d.limit(clean(path))
	used := d.used(dir)
	return vfs.DiskUsage{AvailBytes: uint64(max(total-used, 0)), TotalBytes: uint64(total), UsedBytes: uint64(used)}, nil
}

// limit is the folder whose capacity bounds p, and that capacity.
func (d *Disk) limit(p string) (dir string, bytes int64) {
	dir, bytes = topOf(p), capacityDefault
	for at, c := range d.capacity {
		if within(p, at) && (bytes == capacityDefault || len(at) >= len(dir)) {
			dir, bytes = at, c
		}
	}
	return dir, bytes
}

func (d *Disk) used(dir string) int64 {
	n, err := d.find(dir)
	if err != nil {
		return 0
	}
	return n.used(map[*node]bool{})
}

// used sums the files at and below n, each once however many names it has.
func (n *node) used(seen map[*node]bool) int64 {
	if seen[n] {
		return 0
	}
	seen[n] = true
	if !n.isDir() {
		return n.contents.charge()
	}
	var sum int64
	for _, child := range n.names {
		sum += child.used(seen)
	}
	return sum
}

func (c *contents) charge() int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return max(c.size, c.allocated)
}

// room is how far a file may reach, when it wants to reach to end.
func (d *Disk) room(f *file, end int64) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.capacity) == 0 {
		return end, nil
	}
	charged := f.node.contents.charge()
	dir, total := d.limit(f.path)
	reach := charged + max(total-d.used(dir), 0)
	if end <= max(charged, reach) {
		return end, nil
	}
	return max(charged, reach), syscall.ENOSPC
}
