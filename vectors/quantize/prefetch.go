//go:build amd64 || arm64

package quantize

import "unsafe"

// prefetchLines asks for the cache lines of n bytes.
//
//go:noescape
func prefetchLines(p *byte, n int)

// Prefetch asks the processor for memory that is used soon.
func Prefetch(b []byte) {
	if len(b) > 0 {
		prefetchLines(&b[0], len(b))
	}
}

// PrefetchSigned is Prefetch.
func PrefetchSigned(b []int8) {
	if len(b) > 0 {
		prefetchLines((*byte)(unsafe.Pointer(&b[0])), len(b))
	}
}

// PrefetchFloats is Prefetch.
func PrefetchFloats(v []float32) {
	if len(v) > 0 {
		prefetchLines((*byte)(unsafe.Pointer(&v[0])), 4*len(v))
	}
}
