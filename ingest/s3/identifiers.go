package s3

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"
)

// identifiers names requests: unlike each other within a run, and from run to run.
type identifiers struct {
	start uint64
	host  [32]byte
	count *atomic.Uint64
}

func newIdentifiers(entropy io.Reader) identifiers {
	ids := identifiers{count: new(atomic.Uint64)}
	var start [8]byte
	if _, err := io.ReadFull(entropy, start[:]); err != nil {
		panic(fmt.Sprintf("s3: read entropy: %v", err))
	}
	if _, err := io.ReadFull(entropy, ids.host[:]); err != nil {
		panic(fmt.Sprintf("s3: read entropy: %v", err))
	}
	ids.start = binary.LittleEndian.Uint64(start[:])
	return ids
}

// next is an x-amz-request-id.
func (ids identifiers) next() string {
	const stride = 0x9e3779b97f4a7c15 // odd, so that the sequence meets every number once
	n := ids.start + ids.count.Add(1)*stride
	var b [16]byte
	for i := range b {
		b[i] = "0123456789ABCDEF"[n>>(60-4*i)&15]
	}
	return string(b[:])
}

// long is the x-amz-id-2 that goes with a request id.
func (ids identifiers) long(id string) string {
	var b [48]byte
	copy(b[copy(b[:], ids.host[:]):], id)
	return base64.StdEncoding.EncodeToString(b[:])
}
