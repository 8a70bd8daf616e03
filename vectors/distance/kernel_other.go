//go:build !amd64

package distance

const accelerated = false
