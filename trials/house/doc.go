// Package house holds the tests of the source tree itself: its import fences,
// its package comments, its names, and the raw calls that only host may make.
// Its nouns are Fence, Room and Arrow.
//
// It reads files as text, runs nothing of the project, and leaves formatting
// and correctness to vet and staticcheck.
package house
