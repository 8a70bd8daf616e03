package admission_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarnlake/tarn/access/admission"
)

// A hundred clients read, one request after the other, on a server that has room for all
// of them: requests are not in each other's way. For five seconds they take 1 ms, then
// they are of a kind that takes 50 ms, then of the first kind again.
func TestSlowerWorkOfAClassIsNotTakenForOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate(admission.Options{})
		from := time.Now()
		kind := func() time.Duration {
			if at := time.Since(from); at >= 5*time.Second && at < 20*time.Second {
				return 50 * time.Millisecond
			}
			return time.Millisecond
		}
		var clients sync.WaitGroup
		defer clients.Wait()
		for range 100 {
			clients.Go(func() {
				for time.Since(from) < 25*time.Second {
					p, err := g.Admit(t.Context(), admission.Ask{Class: admission.Reads})
					if err != nil { // newer ones came while it waited: it asks again
						continue
					}
					time.Sleep(kind())
					p.Done()
				}
			})
		}
		limits := []int{}
		for range 24 {
			time.Sleep(time.Second)
			limits = append(limits, g.Status().Limit)
		}
		t.Logf("the limit, by second: %v", limits)
		for at, limit := range limits {
			if limit < 45 || at >= 12 && at < 20 && limit < 100 {
				t.Errorf("second %d: the limit is %d, though nothing is overloaded", at+1, limit)
			}
		}
	})
}
