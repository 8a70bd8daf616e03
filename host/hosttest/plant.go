package hosttest

// Plant puts bytes where a file has others, on the platter and in the cache
// alike, as a drive does that lies: bits that flipped, a write that went astray,
// one that was lost. The file does not grow. It returns what lay there.
func (d *Disk) Plant(path string, off int64, b []byte) (before []byte) {
	c := d.mustFile(path).contents
	before = make([]byte, len(b))
	n, _ := c.readAt(before, off)
	for left := b[:n]; len(left) > 0; {
		part := left[:min(int64(len(left)), pageBytes-off%pageBytes)]
		c.damage(off, int64(len(part)), func(p []byte) { copy(p, part) })
		left, off = left[len(part):], off+int64(len(part))
	}
	return before[:n]
}
