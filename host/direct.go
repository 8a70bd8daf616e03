package host

// directSector is the unit of writes past the operating system's memory.
const directSector = 512

// WriteAllAt writes pieces one behind the other, from off on: as one write where the
// file can.
func WriteAllAt(f File, off int64, pieces ...[]byte) (int, error) {
	if g, ok := f.(interface {
		WriteAllAt(off int64, pieces ...[]byte) (int, error)
	}); ok {
		return g.WriteAllAt(off, pieces...)
	}
	return writeEach(f, off, pieces)
}

func writeEach(f File, off int64, pieces [][]byte) (n int, err error) {
	for _, p := range pieces {
		if len(p) == 0 {
			continue
		}
		wrote, err := f.WriteAt(p, off+int64(n))
		n += wrote
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func lengthOf(pieces [][]byte) (n int) {
	for _, p := range pieces {
		n += len(p)
	}
	return n
}
