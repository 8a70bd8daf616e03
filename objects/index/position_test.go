package index

import (
	"errors"
	"testing"
)

func two(low, high uint64) Position { return At(1, low) + At(7, high) }

func TestPositionsCoverByShard(t *testing.T) {
	for _, c := range []struct {
		p, q Position
		want bool
	}{
		{"", "", true}, {At(1, 5), "", true}, {"", At(1, 5), false}, {"", At(1, 0), true},
		{At(1, 5), At(1, 5), true}, {At(1, 5), At(1, 6), false}, {At(1, 6), At(1, 5), true},
		{At(1, 5), At(2, 1), false}, {two(5, 5), At(7, 5), true}, {two(5, 5), two(5, 6), false},
		{two(6, 5), two(5, 6), false}, {two(6, 6), two(5, 6), true}, {At(1, 9), two(5, 1), false},
	} {
		if got := c.p.Covers(c.q); got != c.want {
			t.Errorf("%x covers %x: %v, want %v", c.p, c.q, got, c.want)
		}
	}
	if p := two(5, 6); p.Sequence(1) != 5 || p.Sequence(7) != 6 || p.Sequence(2) != 0 {
		t.Errorf("sequences of %x: %d, %d, %d", p, p.Sequence(1), p.Sequence(7), p.Sequence(2))
	}
}

func TestMalformedPositionsAreRefused(t *testing.T) {
	for _, p := range []Position{At(1, 5)[:11], At(1, 5) + "x", At(7, 1) + At(1, 1), At(1, 1) + At(1, 2)} {
		if _, err := ParsePosition([]byte(p)); !errors.Is(err, ErrPosition) {
			t.Errorf("%x: got %v, want ErrPosition", p, err)
		}
	}
}

func FuzzParsePosition(f *testing.F) {
	f.Add([]byte(two(5, 6)))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePosition(b)
		if err == nil && (string(p) != string(b) || !p.Covers(p)) {
			t.Fatalf("%x parses as %x", b, p)
		}
	})
}
