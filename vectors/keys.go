package vectors

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/tarnlake/tarn/objects"
)

// The keys of vector indexes within a bucket:
//
//	b/<bucket>/v/i/<index name>        the index: its Spec and its incarnation
//	b/<bucket>/v/x/<incarnation>/…     all that belongs to one incarnation of an index:
//	    a/                             ids: the next one that is not given away
//	    g/<sequence>                   a segment
//	    k/<vector key>                 which vector the key means
//	    m/                             upkeep: sequences, probes; every publish goes through its version
//	    n/<neighbourhood>              a neighbourhood: its centroid, and from which segment on it counts
//	    r/<sequence>                   a file of rows
//	    s/                             ids superseded, but still in segments
//	    t/<batch>                      a push or a delete that is not yet folded
//
// An incarnation is 16 hex digits: an index that was deleted and made again has
// another one, so that nothing of the old is ever taken for the new.
type keyKind byte

const (
	keyIDs           keyKind = 'a'
	keySegment       keyKind = 'g'
	keyMapping       keyKind = 'k'
	keyUpkeep        keyKind = 'm'
	keyNeighbourhood keyKind = 'n'
	keyRowFile       keyKind = 'r'
	keySuperseded    keyKind = 's'
	keyTail          keyKind = 't'
)

type incarnation [8]byte

func recordPrefix(bucket string) []byte {
	return append(objects.KindPrefix(bucket, objects.KindVector), "i/"...)
}

func recordKey(bucket, name string) []byte { return append(recordPrefix(bucket), name...) }

// dataPrefix begins all keys of one incarnation.
func dataPrefix(bucket string, inc incarnation) []byte {
	p := append(objects.KindPrefix(bucket, objects.KindVector), "x/"...)
	p = hex.AppendEncode(p, inc[:])
	return append(p, '/')
}

// keyspace makes keys of one incarnation.
type keyspace []byte

func (p keyspace) key(kind keyKind, rest string) []byte {
	k := append(slices.Clip([]byte(p)), byte(kind), '/')
	return append(k, rest...)
}

func (p keyspace) segment(seq uint64) []byte { return p.key(keySegment, fmt.Sprintf("%016x", seq)) }
func (p keyspace) rowFile(seq uint64) []byte { return p.key(keyRowFile, fmt.Sprintf("%016x", seq)) }
func (p keyspace) neighbourhood(id uint32) []byte {
	return p.key(keyNeighbourhood, fmt.Sprintf("%08x", id))
}

// all is the range of keys of one kind.
func (p keyspace) all(kind keyKind) (lo, hi []byte) {
	lo = p.key(kind, "")
	return lo, objects.PrefixEnd(lo)
}

// ours is a key of vector indexes, taken apart.
type ours struct {
	bucket string
	inc    incarnation
	kind   keyKind // of data; 'i' for the index's own record
	rest   []byte  // shares the key's memory
}

const keyRecord keyKind = 'i'

// parseKey is quick to say no: every object that is put passes here.
func parseKey(key []byte) (o ours, ok bool) {
	rest, ok := bytes.CutPrefix(key, []byte("b/"))
	if !ok {
		return o, false
	}
	slash := bytes.IndexByte(rest, '/')
	if slash < 0 || !bytes.HasPrefix(rest[slash:], []byte("/v/")) {
		return o, false
	}
	bucket, rest := rest[:slash], rest[slash+3:]
	if name, ok := bytes.CutPrefix(rest, []byte("i/")); ok {
		return ours{bucket: string(bucket), kind: keyRecord, rest: name}, true
	}
	const incEnd = 2 + 2*len(incarnation{})
	if len(rest) < incEnd+3 || rest[0] != 'x' || rest[1] != '/' || rest[incEnd] != '/' || rest[incEnd+2] != '/' {
		return o, false
	}
	if _, err := hex.Decode(o.inc[:], rest[2:incEnd]); err != nil {
		return o, false
	}
	o.bucket, o.kind, o.rest = string(bucket), keyKind(rest[incEnd+1]), rest[incEnd+3:]
	return o, true
}
