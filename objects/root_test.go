package objects

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"

	"github.com/tarnlake/tarn/objects/drive"
)

func goldenRoot() rootRecord {
	return rootRecord{
		store: [16]byte{0x11, 15: 0x22}, k: 4, m: 2, ready: true, next: 300,
		drives:  []rootDrive{{1, drive.ID{0xaa, 15: 0xbb}, "d1"}, {299, drive.ID{1}, ""}},
		journal: []byte("J"), through: 1000, checkpoint: []byte("CP"),
	}
}

// The bytes of version 1, annotated. They must never change.
func TestRootRecordIsWrittenAsTheLayoutSays(t *testing.T) {
	want := "54535254" + "01000000" + // magic, version
		"11000000000000000000000000000022" + // store
		"04" + "02" + "01" + // k, m, ready
		"ac02" + "02" + // next number, drives
		"01" + "aa0000000000000000000000000000bb" + "02" + "6431" + // drive 1, its id, its path
		"ab02" + "01000000000000000000000000000000" + "00" +
		"01" + "4a" + // journal
		"e807" + "02" + "4350" // checkpoint through 1000
	r := goldenRoot()
	if got := hex.EncodeToString(r.encode()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	back, err := decodeRoot(r.encode())
	if err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("got %+v, %v", back, err)
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
	later[4] = 2
	if _, err := decodeRoot(later); !errors.Is(err, drive.ErrFormatVersion) {
		t.Errorf("a later version: %v", err)
	}
}

func FuzzDecodeRoot(f *testing.F) {
	r := goldenRoot()
	f.Add(r.encode())
	f.Add((&rootRecord{k: 1}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRoot(b)
		if err != nil {
			return
		}
		if again := r.encode(); !bytes.Equal(again, b) {
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
