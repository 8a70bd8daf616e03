package objects

import (
	"io"
	"sync"
)

// pieceBytes is how a body is gathered: one that comes slowly holds memory only
// for what came, and no stripe's buffer.
const pieceBytes = 64 << 10

var pieces = sync.Pool{New: func() any { return new([pieceBytes]byte) }}

// gathered is the beginning of a body, in pieces that are full but for the last.
type gathered struct {
	pieces []*[pieceBytes]byte
	bytes  int
	ended  bool // the body has no more
}

// fill reads r until there are most bytes, or it ends.
func (g *gathered) fill(r io.Reader, most int) error {
	for g.bytes < most && !g.ended {
		at := g.bytes % pieceBytes
		if at == 0 {
			g.pieces = append(g.pieces, pieces.Get().(*[pieceBytes]byte))
		}
		piece := g.pieces[len(g.pieces)-1]
		n, err := r.Read(piece[at:min(pieceBytes, at+most-g.bytes)])
		g.bytes += n
		if n == 0 && at == 0 { // keep no piece without bytes
			pieces.Put(piece)
			g.pieces = g.pieces[:len(g.pieces)-1]
		}
		if err == io.EOF {
			g.ended = true
		} else if err != nil {
			return err
		}
	}
	return nil
}

// copyTo fills p, which has room for everything gathered.
func (g *gathered) copyTo(p []byte) {
	for _, piece := range g.pieces {
		p = p[copy(p, piece[:]):]
	}
}

// clone is everything gathered in memory of its own.
func (g *gathered) clone() []byte {
	p := make([]byte, g.bytes)
	g.copyTo(p)
	return p
}

// release gives the pieces back and begins anew.
func (g *gathered) release() {
	for _, p := range g.pieces {
		pieces.Put(p)
	}
	g.pieces, g.bytes = nil, 0
}
