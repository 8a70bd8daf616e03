//go:build !amd64 && !arm64

package quantize

const accelerated = false

// Prefetch asks the processor for memory that is used soon: this one is not asked.
func Prefetch([]byte) {}

// PrefetchSigned is Prefetch.
func PrefetchSigned([]int8) {}

// PrefetchFloats is Prefetch.
func PrefetchFloats([]float32) {}
