package durability_test

import (
	"bytes"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tarnlake/tarn/objects/durability"
)

// The bounds of tables: Garwood's for 95 % one-sided.
func TestUpperBoundsAreThoseOfTheTables(t *testing.T) {
	for n, want := range map[uint64]float64{0: 2.9957, 1: 4.7439, 2: 6.2958, 3: 7.7537, 5: 10.513, 10: 16.962, 50: 63.29, 100: 118.08, 1000: 1053.5, 20_000: 20_234} {
		if got := durability.UpperBound(n); math.Abs(got-want) > want*0.0005 {
			t.Errorf("of %d events: %.4f, want %.4f", n, got, want)
		}
	}
}

// With m = 1 and nothing latent the chain is the textbook's: two rates down, one up.
func TestTheChainOfOneParityIsTheTextbooks(t *testing.T) {
	r := durability.Rates{K: 4, M: 1, Drive: 0.02, Repair: 1000, Detect: 1}
	a, b, mu := 5*r.Drive, 4*r.Drive, r.Repair
	want := (a + b + mu) / (a * b)
	if got := r.LossYears(); math.Abs(got-want) > want*1e-12 {
		t.Errorf("%g years, want %g", got, want)
	}
}

func TestMoreDangerNeverMakesAStoreSafer(t *testing.T) {
	base := durability.Rates{K: 4, M: 2, Drive: 0.02, Latent: 0.001, Detect: 50, Repair: 1000, OnDevice: 1}
	loss := base.LossInYear()
	for name, change := range map[string]func(*durability.Rates){
		"drives":   func(r *durability.Rates) { r.Drive *= 2 },
		"latent":   func(r *durability.Rates) { r.Latent *= 2 },
		"audit":    func(r *durability.Rates) { r.Detect /= 2 },
		"repair":   func(r *durability.Rates) { r.Repair /= 2 },
		"parity":   func(r *durability.Rates) { r.M-- },
		"data":     func(r *durability.Rates) { r.K++ },
		"machine":  func(r *durability.Rates) { r.Node = 1e-9 },
		"a device": func(r *durability.Rates) { r.OnDevice, r.Device = 2, 0.02 },
	} {
		r := base
		change(&r)
		if got := r.LossInYear(); got <= loss {
			t.Errorf("%s: %g a year, without %g", name, got, loss)
		}
	}
	if safe := (durability.Rates{K: 8, M: 8, Drive: 0.01, Repair: 1e5, Detect: 100}).LossInYear(); safe <= 0 || safe > 1e-30 {
		t.Errorf("8+8 loses %g a year: the digits are gone", safe)
	}
}

func TestOneDeviceIsOneFailureDomainAndTheEstimateSaysSo(t *testing.T) {
	shape := durability.Shape{
		K: 4, M: 2, Drives: 6, Devices: 1, OnDevice: 6, Nodes: 1, OnNode: 6, Shards: 6_000, BytesToday: 4 << 30,
		AuditEvery: 14 * 24 * time.Hour, RepairDrive: time.Hour, DetectDrive: 2 * time.Second, SharedDevice: true,
	}
	e := durability.NewEstimate(shape, &durability.Day{DriveSeconds: 86_400 * 6, DeviceSeconds: 86_400, ServingSeconds: 86_400})
	if !strings.Contains(e.Domain, "one failure domain") || e.Nines > 2 || e.IndependentNines < 6 {
		t.Errorf("%.1f nines, %.1f were drives alone to fail: %s", e.Nines, e.IndependentNines, e.Domain)
	}
	shape.Devices, shape.OnDevice, shape.SharedDevice = 6, 1, false
	apart := durability.NewEstimate(shape, &durability.Day{DriveSeconds: 86_400 * 6, ServingSeconds: 86_400})
	if apart.LossInYear >= e.LossInYear || strings.Contains(apart.Domain, "one failure domain") {
		t.Errorf("six devices: %g a year, one: %g; %s", apart.LossInYear, e.LossInYear, apart.Domain)
	}
}

// What a store measures itself outweighs what others did.
func TestMeasurementsOutweighAssumptions(t *testing.T) {
	shape := durability.Shape{K: 4, M: 2, Drives: 100, Devices: 100, OnDevice: 1, Nodes: 3, OnNode: 2, Shards: 1e6, AuditEvery: 14 * 24 * time.Hour, RepairDrive: time.Hour}
	const decade = 10 * 365 * 86_400
	bad := durability.NewEstimate(shape, &durability.Day{DriveSeconds: 100 * decade, DriveFailures: 200, ServingSeconds: decade})
	good := durability.NewEstimate(shape, &durability.Day{DriveSeconds: 100 * decade, DriveFailures: 2, ServingSeconds: decade})
	if bad.Rates[0].Upper < 0.2 || bad.Rates[0].Upper > 0.24 || good.Rates[0].Upper > 0.01 || bad.Nines >= good.Nines {
		t.Errorf("200 failures in 1,000 drive-years: %+v; 2: %+v", bad.Rates[0], good.Rates[0])
	}
}

func sampleDay() durability.Day {
	d := durability.Day{Number: 20_780, BytesVerified: 300, ShardsVerified: 2, Latent: 1, DriveSeconds: 86_400}
	d.Repair(3*time.Second, 70)
	return d
}

// Version 1, printed with its meaning: a change of it is a change of the format.
func TestADayIsTheseBytes(t *testing.T) {
	d := sampleDay()
	want := strings.Join([]string{
		"01",         // version
		"aca201",     // day 20,780
		"2c",         // 44 fields
		"ac02", "02", // 300 bytes and 2 shards verified
		"01", "00", "00", // 1 latent, 0 read errors, 0 orphans
		"80a305", "00", // drive-seconds, failures
		"00", "00", "00", // devices' seconds and failures, serving
		"01", "46", "03", "03", // 1 repair of 70 bytes, 3 s, at most 3 s
		"00", "00", "00", "00", "00", "00", // stripes and bytes lost, returned, deleted
		"0000", "01", strings.Repeat("00", 21), // repair times: one from 2 s to 4 s
	}, "")
	if got := hex.EncodeToString(d.Encode()); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	back, err := durability.DecodeDay(d.Encode())
	if err != nil || back != d {
		t.Errorf("%+v, %v", back, err)
	}
}

func TestALossIsTheseBytes(t *testing.T) {
	l := durability.Loss{Stripe: [16]byte{1, 2}, Owner: []byte("b/x"), Bytes: 9, Since: time.Unix(0, 5).UTC(), Good: 3, Needed: 4, Cause: "rot"}
	want := "01" + "01020000000000000000000000000000" + "0900000000000000" + "0500000000000000" + "03" + "04" + "03" + hex.EncodeToString([]byte("b/x")) + "03" + hex.EncodeToString([]byte("rot"))
	if got := hex.EncodeToString(l.Encode()); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	back, err := durability.DecodeLoss(l.Encode())
	if err != nil || !bytes.Equal(back.Encode(), l.Encode()) {
		t.Errorf("%+v, %v", back, err)
	}
}

// A later release appends fields: this one adds up what it knows.
func TestADayOfALaterReleaseIsRead(t *testing.T) {
	d := sampleDay()
	b := d.Encode()
	b[4]++
	b = append(b, 99)
	if back, err := durability.DecodeDay(b); err != nil || back != d {
		t.Errorf("%+v, %v", back, err)
	}
}

func TestDaysAddUp(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var sum durability.Day
	var longest time.Duration
	n := 0
	for range 30 {
		var d durability.Day
		for range r.IntN(5) {
			took := time.Duration(r.IntN(5000)) * time.Second
			longest = max(longest, took)
			d.Repair(took, 10)
			n++
		}
		sum.Add(&d)
	}
	if sum.Repaired != uint64(n) || sum.RepairedBytes != uint64(10*n) || time.Duration(sum.RepairMax)*time.Second != longest {
		t.Errorf("%+v", sum)
	}
	half, all := sum.RepairTime(0.5), sum.RepairTime(1)
	if half > all || all < longest || half < 600*time.Second || half > 5000*time.Second {
		t.Errorf("half within %v, all within %v", half, all)
	}
}

func FuzzDecodeDay(f *testing.F) {
	d := sampleDay()
	f.Add(d.Encode())
	f.Add([]byte{1, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := durability.DecodeDay(b); err == nil {
			if back, err := durability.DecodeDay(d.Encode()); err != nil || back != d {
				t.Errorf("%+v became %+v, %v", d, back, err)
			}
		}
	})
}

func FuzzDecodeLoss(f *testing.F) {
	l := durability.Loss{Owner: []byte("k"), Cause: "c", Since: time.Unix(7, 0)}
	f.Add(l.Encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := durability.DecodeLoss(b); err == nil {
			if back, err := durability.DecodeLoss(l.Encode()); err != nil || !bytes.Equal(back.Encode(), l.Encode()) {
				t.Errorf("%+v became %+v, %v", l, back, err)
			}
		}
	})
}
