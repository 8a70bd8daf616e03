package erasure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// stripe encodes a random payload of n bytes in a buffer.
func stripe(t interface{ Fatal(...any) }, k, m, n int, seed uint64) (*Code, []byte, [][]byte) {
	c, err := New(k, m)
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewPool(c, c.ShardBytes(n), 1).Get(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	source := rand.New(rand.NewPCG(seed, 0))
	for i := range b.memory { // what a former stripe left there must not matter
		b.memory[i] = byte(source.Uint32())
	}
	payload := bytes.Clone(b.Payload(n))
	shards := b.Shards(n)
	if err := c.Encode(shards); err != nil {
		t.Fatal(err)
	}
	return c, payload, shards
}

func join(shards [][]byte, k, n int) []byte { return bytes.Join(shards[:k], nil)[:n] }

func TestAnyKShardsGiveBackThePayload(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k, m := rapid.IntRange(1, 16).Draw(t, "k"), rapid.IntRange(0, 16).Draw(t, "m")
		n := rapid.IntRange(1, 5000).Draw(t, "bytes")
		c, payload, shards := stripe(t, k, m, n, rapid.Uint64().Draw(t, "seed"))
		kept := rapid.Permutation(numbers(k+m)).Draw(t, "kept")[:k]
		checkSubset(t, c, payload, shards, kept)
	})
}

func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func checkSubset(t interface{ Fatalf(string, ...any) }, c *Code, payload []byte, shards [][]byte, kept []int) {
	got, wanted := make([][]byte, len(shards)), make([]bool, len(shards))
	for i := range wanted {
		wanted[i] = true
	}
	for _, i := range kept {
		got[i] = shards[i]
	}
	if err := c.Reconstruct(got, wanted); err != nil {
		t.Fatalf("from shards %v: %v", kept, err)
	}
	if !bytes.Equal(join(got, c.k, len(payload)), payload) {
		t.Fatalf("shards %v of %d+%d give back another payload", kept, c.k, c.m)
	}
	for i := range got {
		if !bytes.Equal(got[i], shards[i]) {
			t.Fatalf("shard %d is rebuilt wrongly from %v", i, kept)
		}
	}
}

func TestEverySubsetOfKShardsGivesBackThePayload(t *testing.T) {
	for _, shape := range [][2]int{{1, 0}, {1, 2}, {2, 1}, {3, 3}, {4, 2}, {5, 1}, {8, 4}} {
		k, m := shape[0], shape[1]
		for _, n := range []int{1, k, k + 1, 8*k - 1, 1001} {
			c, payload, shards := stripe(t, k, m, n, 42)
			for set := range 1 << (k + m) {
				if bits.OnesCount(uint(set)) == k {
					checkSubset(t, c, payload, shards, members(set))
				}
			}
		}
	}
}

func members(set int) (in []int) {
	for i := range bits.Len(uint(set)) {
		if set>>i&1 != 0 {
			in = append(in, i)
		}
	}
	return in
}

// A range read rebuilds only its range.
func TestARangeOfKShardsGivesBackThatRangeOfTheOthers(t *testing.T) {
	c, _, shards := stripe(t, 4, 2, 4000, 7)
	part := make([][]byte, 6)
	for _, i := range []int{0, 2, 4, 5} {
		part[i] = shards[i][100:333]
	}
	part[1] = make([]byte, 0, 233)
	place := part[1][:233]
	if err := c.Reconstruct(part, []bool{false, true, false, false, false, false}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(part[1], shards[1][100:333]) || &part[1][0] != &place[0] {
		t.Error("the range was rebuilt wrongly, or not in its place")
	}
	if len(part[3]) != 0 {
		t.Error("a shard was rebuilt that nobody wanted")
	}
}

func TestFewerThanKShardsAreAnError(t *testing.T) {
	for _, k := range []int{1, 3} {
		c, _, shards := stripe(t, k, 2, 100, 1)
		for i := range 3 {
			shards[i] = nil
		}
		if err := c.Reconstruct(shards, make([]bool, k+2)); !errors.Is(err, ErrTooFew) {
			t.Errorf("%d+2: %v", k, err)
		}
	}
}

func TestVerifySeesEveryFlippedByte(t *testing.T) {
	for _, k := range []int{1, 4} {
		c, _, shards := stripe(t, k, 2, 64, 9)
		if ok, err := c.Verify(shards); !ok || err != nil {
			t.Fatalf("a good stripe: %v, %v", ok, err)
		}
		for i := range shards {
			shards[i][5] ^= 1
			if ok, _ := c.Verify(shards); ok {
				t.Errorf("a flipped bit in shard %d of %d+2 goes unseen", i, k)
			}
			shards[i][5] ^= 1
		}
	}
}

func TestImpossibleShapesAreRefused(t *testing.T) {
	for _, shape := range [][2]int{{0, 1}, {-1, 2}, {1, -1}, {200, 56}} {
		if _, err := New(shape[0], shape[1]); err == nil {
			t.Errorf("%d+%d passes", shape[0], shape[1])
		}
	}
	c, _, shards := stripe(t, 2, 1, 10, 3)
	shards[1] = shards[1][:2]
	if c.Encode(shards) == nil || c.Encode(shards[:2]) == nil {
		t.Error("shards of different lengths, or too few, are encoded")
	}
}

func TestPoolLendsNoMoreThanItsCount(t *testing.T) {
	c, _ := New(2, 1)
	p := NewPool(c, 8, 2)
	a, _ := p.Get(context.Background())
	b, _ := p.Get(context.Background())
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Get(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("a third buffer: %v", err)
	}
	mine := &a.memory[0]
	a.Release()
	b.Abandon()
	for range 2 {
		x, err := p.Get(ended)
		if err != nil {
			t.Fatal(err)
		}
		if &x.memory[0] == mine {
			mine = nil
		}
	}
	if mine != nil {
		t.Error("released memory was not lent again")
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, shape := range [][2]int{{4, 2}, {8, 4}} {
		b.Run(fmt.Sprintf("%d+%d", shape[0], shape[1]), func(b *testing.B) {
			c, _, shards := stripe(b, shape[0], shape[1], shape[0]<<20, 1)
			b.SetBytes(int64(shape[0]) << 20)
			for b.Loop() {
				if err := c.Encode(shards); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
