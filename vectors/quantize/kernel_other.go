//go:build !amd64

package quantize

const accelerated = false
