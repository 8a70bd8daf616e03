package s3

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tarnlake/tarn/objects"
)

// With k drives left everything is read, listed and deleted, and writes are refused with
// what is wrong and when to try again; with fewer, what needs the drives says so; and when
// they are back all goes on.
func TestWithKDrivesLeftClientsAreToldWhatIsWrong(t *testing.T) {
	d, store, disk := overDisk(t)
	if got := d.do(raw{method: "PUT", target: "/bucket"}); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	for i := range 40 {
		for _, size := range []int{10, 5000, 200_000} {
			if got := d.do(raw{method: "PUT", target: fmt.Sprintf("/bucket/%d/%d", size, i), body: string(body(size))}); got.status != 200 {
				t.Fatalf("%d %s", got.status, got.body)
			}
		}
	}
	pull := func(drives ...int) {
		for _, n := range drives {
			disk.Fail(fmt.Sprintf("drive-%d", n), errors.New("no such device"))
		}
		deadline := time.Now().Add(30 * time.Second)
		for left := -1; left != 0; time.Sleep(10 * time.Millisecond) {
			left = len(drives)
			for _, s := range store.Drives() {
				for _, n := range drives {
					if s.Path == fmt.Sprintf("drive-%d", n) && s.State != objects.DriveWell {
						left--
					}
				}
			}
			if time.Now().After(deadline) {
				t.Fatalf("the loss of %v is not noticed: %+v", drives, store.Drives())
			}
		}
	}
	expect := func(when string, q raw, status int, code string) {
		t.Helper()
		got := d.do(q)
		if got.status != status || got.code != code || (got.header.Get("Retry-After") != "") != (status == 503) {
			t.Errorf("%s: %s %s: %d %s, Retry-After %q: %s", when, q.method, q.target, got.status, got.code, got.header.Get("Retry-After"), clip(got.body))
		}
		if strings.Contains(got.body, "drive-") {
			t.Errorf("%s: a client is told of folders: %s", when, got.body)
		}
	}
	pull(1, 2)
	const two = "with k drives"
	for _, size := range []int{1, 5000, 200_000, 9 << 20} {
		expect(two, raw{method: "PUT", target: "/bucket/new", body: string(body(size))}, 503, "ServiceUnavailable")
	}
	expect(two, raw{method: "PUT", target: "/another"}, 503, "ServiceUnavailable")
	for _, size := range []int{10, 5000, 200_000} {
		expect(two, raw{method: "GET", target: fmt.Sprintf("/bucket/%d/1", size)}, 200, "")
		expect(two, raw{method: "DELETE", target: fmt.Sprintf("/bucket/%d/0", size)}, 204, "")
		expect(two, raw{method: "GET", target: fmt.Sprintf("/bucket/%d/0", size)}, 404, "NoSuchKey")
	}
	expect(two, raw{method: "GET", target: "/bucket?list-type=2"}, 200, "")
	if ok, why := store.Writable(); ok || !strings.Contains(why, "4 of 6 drives take writes, 5 are needed") {
		t.Errorf("writable: %v, %s", ok, why)
	}

	pull(3)
	const three = "with fewer"
	expect(three, raw{method: "PUT", target: "/bucket/new", body: "x"}, 503, "ServiceUnavailable")
	expect(three, raw{method: "GET", target: "/bucket/10/1"}, 200, "") // it lies in the index
	expect(three, raw{method: "GET", target: "/bucket?list-type=2"}, 200, "")
	refused := 0
	for i := range 20 {
		got := d.do(raw{method: "GET", target: fmt.Sprintf("/bucket/200000/%d", 1+i)})
		if got.status == 503 && got.code == "ServiceUnavailable" && got.header.Get("Retry-After") != "" {
			refused++
		} else {
			t.Errorf("GET with fewer than k drives: %d %s", got.status, clip(got.body))
		}
	}
	if refused == 0 {
		t.Error("no object lacked its shards")
	}
	pull(4, 5)
	const five = "with one drive"
	expect(five, raw{method: "DELETE", target: "/bucket/10/2"}, 503, "ServiceUnavailable")
	expect(five, raw{method: "PUT", target: "/bucket/new", body: "x"}, 503, "ServiceUnavailable")
	if got := d.do(raw{method: "DELETE", target: "/bucket/10/2"}); !strings.Contains(got.body, "any change") {
		t.Errorf("a delete: %s", got.body) // not that deletes go on
	}
	for n := range 5 {
		disk.Fail(fmt.Sprintf("drive-%d", n+1), nil)
	}
	deadline := time.Now().Add(30 * time.Second)
	for ok := false; !ok && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		ok, _ = store.Writable()
	}
	expect("with all again", raw{method: "PUT", target: "/bucket/new", body: "x"}, 200, "")
	expect("with all again", raw{method: "DELETE", target: "/bucket/10/2"}, 204, "")
	expect("with all again", raw{method: "GET", target: "/bucket/200000/3"}, 200, "")
}
