package index

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"reflect"
	"strings"
	"testing"
	"time"
)

func everyKind() Proposal {
	return Proposal{
		Proposed: time.Unix(0, 0x0102030405060708),
		Txn: Txn{
			RequestID: RequestID{0xa0, 15: 0xaf},
			Conditions: []Condition{
				{Kind: KeyAbsent, Key: []byte("a")},
				{Kind: KeyVersion, Key: []byte("b"), Version: 7},
				{Kind: RangeEmpty, Key: []byte("c"), End: []byte("d")},
			},
			Mutations: []Mutation{
				{Kind: Put, Key: []byte("e"), Value: []byte("value")},
				{Kind: Delete, Key: []byte("f"), Guard: &Condition{Kind: KeyExists, Key: []byte("g")}},
				{Kind: DeleteRange, Key: []byte("h"), End: []byte("i")},
			},
		},
	}
}

// TestEncodedTransactionKeepsItsLayout fails when the table in txn.go drifts
// from what lies in logs.
func TestEncodedTransactionKeepsItsLayout(t *testing.T) {
	want := strings.Join([]string{
		"01 00",                               // version
		"0300 0300 0000",                      // conditions, mutations
		"0807060504030201",                    // proposer's clock
		"a00000000000000000000000000000af",    // request id
		"01 0100 0000 0000000000000000 61",    // absent a
		"03 0100 0000 0700000000000000 62",    // b at version 7
		"04 0100 0100 0000000000000000 63 64", // nothing in [c, d)
		"01 00 0100 0000 05000000 65 76616c7565",
		"02 01 0100 0000 00000000 66", "02 0100 0000 0000000000000000 67", // delete f, guarded
		"03 00 0100 0100 00000000 68 69",
		"f369939a",
	}, "")
	b, err := everyKind().Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(b); got != strings.ReplaceAll(want, " ", "") {
		t.Fatalf("encoded\n%s, want\n%s", got, strings.ReplaceAll(want, " ", ""))
	}
}

// moved has what came with version 2.
func moved() Proposal {
	p := Proposal{Proposed: time.Unix(0, 1)}
	p.Mutations = []Mutation{
		{Kind: Put, Key: []byte("a"), Value: []byte("there"), Moved: true},
		{Kind: Put, Key: []byte("b"), Moved: true, Guard: &Condition{Kind: KeyVersion, Key: []byte("b"), Version: 7}},
		{Kind: Put, Key: []byte("c")},
	}
	return p
}

func TestMovedTransactionKeepsItsLayout(t *testing.T) {
	want := strings.Join([]string{
		"02 00",          // version
		"0000 0300 0000", // conditions, mutations
		"0100000000000000",
		"00000000000000000000000000000000",
		"01 02 0100 0000 05000000 61 7468657265",                          // put a, moved
		"01 03 0100 0000 00000000 62", "03 0100 0000 0700000000000000 62", // put b, moved and guarded
		"01 00 0100 0000 00000000 63",
		"90ecfee0",
	}, "")
	b, err := moved().Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(b); got != strings.ReplaceAll(want, " ", "") {
		t.Fatalf("encoded\n%s, want\n%s", got, strings.ReplaceAll(want, " ", ""))
	}
}

// TestVersionsOfATransactionAreNotMixed: what is not moved has the encoding that
// every release knows.
func TestVersionsOfATransactionAreNotMixed(t *testing.T) {
	for _, p := range []Proposal{everyKind(), moved()} {
		b, err := p.Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		b[0] = txnVersion + txnVersionMoved - b[0]
		if _, err := DecodeProposal(sealed(b[:len(b)-txnTrailerBytes])); !errors.Is(err, ErrEncoding) {
			t.Fatalf("version %d: got %v, want ErrEncoding", b[0], err)
		}
	}
}

func TestEncodedTransactionDecodesToItself(t *testing.T) {
	for _, want := range []Proposal{everyKind(), moved()} {
		decodesToItself(t, want)
	}
}

func decodesToItself(t *testing.T, want Proposal) {
	b, err := want.Encode([]byte("before"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeProposal(b[len("before"):])
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

func TestDamagedTransactionIsRefused(t *testing.T) {
	b, err := everyKind().Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		for bit := range 8 {
			c := bytes.Clone(b)
			c[i] ^= 1 << bit
			if _, err := DecodeProposal(c); !errors.Is(err, ErrEncoding) {
				t.Fatalf("bit %d of byte %d flipped: got %v, want ErrEncoding", bit, i, err)
			}
		}
		if _, err := DecodeProposal(b[:i]); !errors.Is(err, ErrEncoding) {
			t.Fatalf("cut to %d bytes: got %v, want ErrEncoding", i, err)
		}
	}
}

func TestTransactionsBeyondLimitsAreRefused(t *testing.T) {
	put := Mutation{Kind: Put, Key: []byte("k")}
	guarded := put
	guarded.Guard = &Condition{Kind: KeyExists, Key: []byte("k")}
	exists := Condition{Kind: KeyExists, Key: []byte("k")}
	long := bytes.Repeat([]byte("x"), KeyBytesMax+1)
	cases := []struct {
		name string
		txn  Txn
		want error
	}{
		{"most mutations, all guarded", Txn{Mutations: fill(MutationsMax, guarded)}, nil},
		{"longest key", Txn{Mutations: []Mutation{{Kind: Put, Key: long[1:]}}}, nil},
		{"most bytes", Txn{Mutations: []Mutation{{Kind: Put, Key: []byte("k"), Value: make([]byte, EntryBytesMax-1)}}}, nil},
		{"too many mutations", Txn{Mutations: fill(MutationsMax+1, put)}, ErrTooLarge},
		{"too many parts", Txn{Mutations: fill(MutationsMax, guarded), Conditions: []Condition{exists}}, ErrTooLarge},
		{"key too long", Txn{Mutations: []Mutation{{Kind: Put, Key: long}}}, ErrTooLarge},
		{"end too long", Txn{Conditions: []Condition{{Kind: RangeEmpty, End: long}}}, ErrTooLarge},
		{"too many bytes", Txn{Mutations: []Mutation{{Kind: Put, Key: []byte("k"), Value: make([]byte, EntryBytesMax)}}}, ErrTooLarge},
		{"empty key", Txn{Mutations: []Mutation{{Kind: Put}}}, ErrMalformed},
		{"unknown mutation", Txn{Mutations: []Mutation{{Kind: 9, Key: []byte("k")}}}, ErrMalformed},
		{"unknown condition", Txn{Conditions: []Condition{{Kind: 0, Key: []byte("k")}}}, ErrMalformed},
		{"unknown guard", Txn{Mutations: []Mutation{{Kind: Put, Key: []byte("k"), Guard: &Condition{}}}}, ErrMalformed},
		{"value of a delete", Txn{Mutations: []Mutation{{Kind: Delete, Key: []byte("k"), Value: []byte("v")}}}, ErrMalformed},
		{"end of a put", Txn{Mutations: []Mutation{{Kind: Put, Key: []byte("k"), End: []byte("l")}}}, ErrMalformed},
		{"moved delete", Txn{Mutations: []Mutation{{Kind: Delete, Key: []byte("k"), Moved: true}}}, ErrMalformed},
		{"version of an existence", Txn{Conditions: []Condition{{Kind: KeyExists, Key: []byte("k"), Version: 1}}}, ErrMalformed},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b, err := Proposal{Txn: c.txn}.Encode(nil)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if err != nil {
				return
			}
			if _, err := DecodeProposal(b); err != nil {
				t.Fatalf("decode: %v", err)
			}
		})
	}
}

func fill[T any](n int, v T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// FuzzDecodeProposal: whatever decodes encodes to the same bytes, so that
// a transaction has one encoding.
func FuzzDecodeProposal(f *testing.F) {
	for _, p := range []Proposal{{}, everyKind(), moved()} {
		b, err := p.Encode(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:len(b)-txnTrailerBytes])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		b := sealed(body)
		p, err := DecodeProposal(b)
		if err != nil {
			return
		}
		again, err := p.Encode(nil)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x decodes, and encodes as %x (%v)", b, again, err)
		}
	})
}

func TestOutcomesDecodeToThemselves(t *testing.T) {
	for _, want := range [][]bool{nil, {}, {true}, {false}, {true, false, true}, fill(MutationsMax, false), fill(MutationsMax, true)} {
		got, err := decodeOutcome(appendOutcome(nil, want))
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) || (got == nil) != (want == nil) {
			t.Fatalf("got %v (%v), want %v", got, err, want)
		}
	}
}

func FuzzDecodeOutcome(f *testing.F) {
	f.Add([]byte{1})
	f.Add([]byte{2, 3, 0, 5})
	f.Fuzz(func(t *testing.T, b []byte) {
		applied, err := decodeOutcome(b)
		if err == nil && len(appendOutcome(nil, applied)) > len(b) {
			t.Fatalf("%x decodes to %v, whose encoding is longer", b, applied)
		}
	})
}

// sealed adds the checksum, so that fuzzing gets past it.
func sealed(body []byte) []byte {
	return binary.LittleEndian.AppendUint32(append([]byte(nil), body...), crc32.Checksum(body, castagnoli))
}
