package placement

// Level is a kind of failure domain.
type Level int

// The levels, the coarsest first.
const (
	Zone Level = iota
	Rack
	Node
	Device
	Folder // the drive's own: there is always one each
	levels
)

func (l Level) String() string {
	return [...]string{"zone", "rack", "node", "device", "folder"}[l]
}

// Drive is what placement knows of one. Empty labels of two drives are the same
// place, except for Device: an unknown device is one of its own.
type Drive struct {
	Number           uint16 // unique in the layout
	Zone, Rack, Node string
	Device           string
	Well             bool  // accepts writes
	Free             int64 // bytes
	Groups           []int // that it is in, by their place; see InGroups
}

// Layout is the drives of a store.
type Layout []Drive

// together reports whether two drives lie in one domain of a level.
func (d *Drive) together(o *Drive, at Level) bool {
	return d.Number == o.Number || at < Folder && d.Zone == o.Zone &&
		(at < Rack || d.Rack == o.Rack) && (at < Node || d.Node == o.Node) &&
		(at < Device || d.Device == o.Device && d.Device != "")
}

// sizes counts the drives in each domain of a level.
func (l Layout) sizes(at Level) []int {
	p := l.places(at, len(l))
	return p.shards
}

// most is the least number of shards that some domain of a level must hold when
// n drives are used; n+1 where there are fewer drives.
func (l Layout) most(at Level, n int) int {
	sizes := l.sizes(at)
	for c := 1; c <= n; c++ {
		room := 0
		for _, size := range sizes {
			room += min(size, c)
		}
		if room >= n {
			return c
		}
	}
	return n + 1
}

// safe is the coarsest level on which a stripe of n shards survives the loss of
// a domain, m shards being spare; Folder where there is none.
func (l Layout) safe(n, m int) Level {
	for at := Zone; at < Folder; at++ {
		if l.most(at, n) <= m {
			return at
		}
	}
	return Folder
}

func (l Layout) well() Layout {
	var w Layout
	for _, d := range l {
		if d.Well {
			w = append(w, d)
		}
	}
	return w
}
