package query_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	connect "connectrpc.com/connect/v2"

	"github.com/tarnlake/tarn/host/hosttest"
	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
)

// With k drives left the services say that the store is read-only, and why.
func TestWithKDrivesLeftTheServicesSaySo(t *testing.T) {
	w := newWorld(t)
	if _, err := w.objects.CreateBucket(t.Context(), &tarnv1.CreateBucketRequest{Name: "docs"}); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"/data/drive-1", "/data/drive-2"} {
		hosttest.DiskOf(w.store.Host()).Fail(folder, errors.New("no such device"))
	}
	deadline := time.Now().Add(30 * time.Second)
	for ok := true; ok && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		ok, _ = w.store.Writable()
	}
	status, err := w.admin.Status(t.Context(), &tarnv1.StatusRequest{})
	if err != nil || status.Writable || !strings.Contains(status.Reason, "4 of 6 drives take writes, 5 are needed") {
		t.Errorf("status: writable %v, %q, %v", status.GetWritable(), status.GetReason(), err)
	}
	missing := 0
	for _, warning := range status.GetWarnings() {
		if strings.Contains(warning, "is missing: ") && strings.Contains(warning, "no such device") {
			missing++
		}
	}
	if missing != 2 {
		t.Errorf("the warnings are %q", status.GetWarnings())
	}
	_, err = w.objects.CreateBucket(t.Context(), &tarnv1.CreateBucketRequest{Name: "more"})
	if connect.CodeOf(err) != connect.CodeUnavailable || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("a bucket: %v", err)
	}
	if list, err := w.objects.ListBuckets(t.Context(), &tarnv1.ListBucketsRequest{}); err != nil || len(list.Buckets) != 1 {
		t.Errorf("a list: %v, %v", list, err)
	}
	if _, err := w.objects.DeleteBucket(t.Context(), &tarnv1.DeleteBucketRequest{Name: "docs"}); err != nil {
		t.Errorf("a delete: %v", err)
	}
}
