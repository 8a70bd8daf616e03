package objects

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/placement"
)

func goldenRoot() rootRecord {
	return rootRecord{
		store: [16]byte{0x11, 15: 0x22}, k: 4, m: 2, ready: true, next: 300,
		drives: []rootDrive{
			{number: 1, id: drive.ID{0xaa, 15: 0xbb}, path: "d1", labels: Labels{Zone: "z", Node: "n1"}},
			{number: 299, id: drive.ID{1}, draining: true, past: true},
		},
		groups:  []placement.Group{{1, 299}, {299}},
		journal: []byte("J"), through: 1000, checkpoint: []byte("CP"),
	}
}

// The bytes of each version, annotated. They must never change.
const (
	goldenRootHead = "11000000000000000000000000000022" + // store
		"04" + "02" + "01" + // k, m, ready
		"ac02" + "02" // next number, drives
	goldenRootTail = "01" + "4a" + // journal
		"e807" + "02" + "4350" // checkpoint through 1000
	goldenRoot1 = "54535254" + "01000000" + // magic, version
		goldenRootHead +
		"01" + "aa0000000000000000000000000000bb" + "02" + "6431" + // drive 1, its id, its path
		"ab02" + "01000000000000000000000000000000" + "00" +
		goldenRootTail
	goldenRoot2 = "54535254" + "02000000" + goldenRootHead + goldenDrive1 + goldenDrive2 + "01" + goldenRootRest
	goldenRoot3 = "54535254" + "03000000" + goldenRootHead + goldenDrive1 + goldenDrive2 + "03" + goldenRootRest

	goldenDrive1   = "01" + "aa0000000000000000000000000000bb" + "02" + "6431" + "00" + "01" + "7a" + "00" + "02" + "6e31" // in use, zone, no rack, node
	goldenDrive2   = "ab02" + "01000000000000000000000000000000" + "00"                                                    // and flags: drained, of the past
	goldenRootRest = "00" + "00" + "00" +                                                                                  // no labels
		goldenRootTail +
		"02" + "02" + "01" + "ab02" + "01" + "ab02" // two groups
)

func TestRootRecordIsWrittenAsTheLayoutSays(t *testing.T) {
	r := goldenRoot()
	if got := hex.EncodeToString(r.encode()); got != goldenRoot3 {
		t.Errorf("got  %s\nwant %s", got, goldenRoot3)
	}
	back, err := decodeRoot(r.encode())
	if err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("got %+v, %v", back, err)
	}
}

func TestRootRecordsOfOlderVersionsAreRead(t *testing.T) {
	second := goldenRoot()
	second.drives[1].past = false
	first := second
	first.groups, first.drives = nil, slices.Clone(second.drives)
	for i := range first.drives {
		first.drives[i].labels, first.drives[i].draining = Labels{}, false
	}
	for golden, want := range map[string]rootRecord{goldenRoot1: first, goldenRoot2: second} {
		b, err := hex.DecodeString(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodeRoot(b); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v", got, err)
		}
	}
}

func TestBrokenRootRecordsAreRefused(t *testing.T) {
	r := goldenRoot()
	good := r.encode()
	for n := range good {
		if _, err := decodeRoot(good[:n]); !errors.Is(err, errRoot) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	if _, err := decodeRoot(append(bytes.Clone(good), 0)); !errors.Is(err, errRoot) {
		t.Errorf("a byte too many: %v", err)
	}
	later := bytes.Clone(good)
	later[4] = rootVersion + 1
	if _, err := decodeRoot(later); !errors.Is(err, drive.ErrFormatVersion) {
		t.Errorf("a later version: %v", err)
	}
}

func FuzzDecodeRoot(f *testing.F) {
	r := goldenRoot()
	f.Add(r.encode())
	f.Add((&rootRecord{k: 1}).encode())
	for _, golden := range []string{goldenRoot1, goldenRoot2} {
		if b, err := hex.DecodeString(golden); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRoot(b)
		if err != nil {
			return
		}
		if again := r.encode(); b[4] == rootVersion && !bytes.Equal(again, b) {
			t.Errorf("%x was encoded again as %x", b, again)
		}
	})
}

func TestTheNewestRootCounts(t *testing.T) {
	at := func(version uint64, next uint16) Drive {
		d := newMemDrive(1)
		r := goldenRoot()
		r.next = next
		d.root = drive.Root{Version: version, Data: r.encode()}
		return d
	}
	empty := newMemDrive(2)
	for name, c := range map[string]struct {
		drives  []Drive
		version uint64
		next    uint16
	}{
		"none":                        {[]Drive{empty}, 0, 0},
		"one is newer":                {[]Drive{at(3, 7), at(4, 8), at(3, 7), empty}, 4, 8},
		"of one version, most copies": {[]Drive{at(4, 9), at(4, 8), at(4, 8)}, 4, 8},
	} {
		r, version, err := newestRoot(c.drives)
		if err != nil || version != c.version || r.next != c.next {
			t.Errorf("%s: version %d, next %d, %v", name, version, r.next, err)
		}
	}
}
