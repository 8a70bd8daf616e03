//go:build !amd64 && !arm64

package distance

const accelerated = false
