package query_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	"github.com/tarnlake/tarn/proto/tarn/v1/tarnv1connect"
)

func (w *world) durability(t *testing.T) tarnv1connect.DurabilityServiceClient {
	token, _, err := w.keys.Token(w.root.AccessKey, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return tarnv1connect.NewDurabilityServiceClient(w.client("Authorization", "Bearer "+token))
}

func TestAnAuditOnRequestReadsEverythingAndTheReportShowsIt(t *testing.T) {
	w := newWorld(t)
	w.bucketAndIndex(t)
	d := w.durability(t)
	a, err := d.Audit(t.Context(), &tarnv1.AuditRequest{Start: true})
	for tries := 0; err == nil && running(a); tries++ {
		if tries > 2000 {
			t.Fatalf("the audit does not end: %v", a)
		}
		time.Sleep(10 * time.Millisecond)
		a, err = d.Audit(t.Context(), &tarnv1.AuditRequest{})
	}
	if err != nil || len(a.Drives) != 6 || a.Found.Bytes == 0 || a.Found.Bad > 0 || len(a.Problems) > 0 {
		t.Fatalf("%v, %v", a, err)
	}
	r, err := d.Durability(t.Context(), &tarnv1.DurabilityRequest{})
	if err != nil || len(r.Periods) != 3 || r.Periods[0].BytesVerified != a.Found.Bytes || r.LostStripes > 0 {
		t.Fatalf("%v, %v", r, err)
	}
	if e := r.Estimate; e.Nines <= 0 || len(e.Assumptions) < 4 || !strings.Contains(e.FailureDomain, "6 drives") {
		t.Errorf("%v", e)
	}
	stream, err := d.WatchRepair(t.Context(), &tarnv1.WatchRepairRequest{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err = stream.Receive(); err == nil; _, err = stream.Receive() {
		n++
	}
	if !errors.Is(err, io.EOF) || n == 0 {
		t.Errorf("%d messages of repair, %v", n, err)
	}
}

func running(a *tarnv1.AuditResponse) bool {
	for _, d := range a.Drives {
		if d.Running || d.Passes == 0 {
			return true
		}
	}
	return false
}
