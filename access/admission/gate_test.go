package admission_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarnlake/tarn/access/admission"
	"github.com/tarnlake/tarn/host"
)

func gate(o admission.Options) *admission.Gate {
	o.Clock = host.Real(nil).Clock // of the bubble
	return admission.New(o)
}

func small() *admission.Gate {
	return gate(admission.Options{LimitLeast: 2, LimitFirst: 2, LimitMost: 2, QueueMost: 3})
}

func admit(t *testing.T, g *admission.Gate, a admission.Ask) *admission.Permit {
	t.Helper()
	p, err := g.Admit(t.Context(), a)
	if err != nil {
		t.Fatalf("admit %+v: %v", a, err)
	}
	return p
}

// ask asks in a goroutine of its own and reports under a name.
func ask(ctx context.Context, g *admission.Gate, a admission.Ask, name string, order chan<- string) {
	go func() {
		p, err := g.Admit(ctx, a)
		var over *admission.OverloadError
		switch {
		case errors.As(err, &over):
			order <- name + " refused"
		case err != nil:
			order <- name + " gave up"
		default:
			order <- name
			p.Done()
		}
	}()
	synctest.Wait()
}

func take(t *testing.T, order <-chan string, want ...string) {
	t.Helper()
	synctest.Wait()
	for _, w := range want {
		select {
		case got := <-order:
			if got != w {
				t.Errorf("%q came, %q was to", got, w)
			}
		default:
			t.Errorf("%q did not come", w)
		}
	}
	select {
	case got := <-order:
		t.Errorf("%q came too", got)
	default:
	}
}

var read, write = admission.Ask{Class: admission.Reads, Tenant: "a"}, admission.Ask{Class: admission.Writes, Tenant: "a"}

func TestTheNewestIsServedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, order := small(), make(chan string, 10)
		one, two := admit(t, g, read), admit(t, g, read)
		for _, name := range []string{"oldest", "middle", "newest"} {
			ask(t.Context(), g, read, name, order)
		}
		take(t, order)
		one.Done()
		take(t, order, "newest", "middle", "oldest")
		two.Done()
	})
}

func TestAFullLaneShedsTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, order := small(), make(chan string, 10)
		one, two := admit(t, g, read), admit(t, g, read)
		for _, name := range []string{"1", "2", "3", "4"} {
			ask(t.Context(), g, read, name, order)
		}
		take(t, order, "1 refused")
		one.Done()
		take(t, order, "4", "3", "2")
		two.Done()
	})
}

func TestWhoWaitedTooLongIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, order := small(), make(chan string, 10)
		one, two := admit(t, g, read), admit(t, g, read)
		ask(t.Context(), g, read, "late", order)
		time.Sleep(time.Second)
		take(t, order, "late refused")
		one.Done()
		two.Done()
		if s := g.Status(); s.Working != 0 || s.Open != 0 || s.Classes[admission.Reads].Refused != 1 {
			t.Errorf("left behind: %+v", s)
		}
	})
}

func TestADeadlineEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, order := small(), make(chan string, 10)
		one, two := admit(t, g, read), admit(t, g, read)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		ask(ctx, g, read, "hasty", order)
		time.Sleep(101 * time.Millisecond)
		take(t, order, "hasty gave up")
		one.Done()
		two.Done()
		if s := g.Status(); s.Classes[admission.Reads].Waiting != 0 || s.Classes[admission.Reads].Admitted != 2 {
			t.Errorf("it is still there: %+v", s)
		}
	})
}

func TestOneTenantDoesNotCrowdOutAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate(admission.Options{LimitLeast: 2, LimitFirst: 2, LimitMost: 2, QueueMost: 3})
		order := make(chan string, 10)
		other := read
		other.Tenant = "b"
		one, two := admit(t, g, read), admit(t, g, read)
		ask(t.Context(), g, other, "b1", order)
		for _, name := range []string{"a1", "a2", "a3"} {
			ask(t.Context(), g, read, name, order)
		}
		take(t, order, "a1 refused") // the lane is full of a's
		one.Done()
		take(t, order, "b1", "a3", "a2")
		two.Done()
	})
}

func TestClassesShareAndControlNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, order := small(), make(chan string, 10)
		one, two := admit(t, g, read), admit(t, g, read)
		ask(t.Context(), g, read, "read", order)
		ask(t.Context(), g, write, "write", order)
		ask(t.Context(), g, admission.Ask{Class: admission.Control}, "control", order)
		take(t, order, "control")
		one.Done()
		take(t, order, "write", "read")
		two.Done()
	})
}

func TestUpkeepLeavesHalfToTheForeground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, order := small(), make(chan string, 10)
		upkeep := admission.Ask{Class: admission.Repair}
		one := admit(t, g, upkeep)
		ask(t.Context(), g, upkeep, "second", order)
		take(t, order)
		admit(t, g, read).Done()
		take(t, order)
		one.Done()
		take(t, order, "second")
	})
}

func TestAParkedPermitHoldsNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, order := small(), make(chan string, 10)
		one, two := admit(t, g, write), admit(t, g, write)
		ask(t.Context(), g, write, "next", order)
		take(t, order)
		one.Park()
		take(t, order, "next")
		one.Unpark()
		if s := g.Status(); s.Working != 2 || s.Open != 2 {
			t.Errorf("%+v", s)
		}
		one.Park()
		one.Done()
		one.Done()
		two.Done()
		if s := g.Status(); s.Working != 0 || s.Open != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestTooManyOpenAreRefusedThoughTheyAreParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate(admission.Options{LimitFirst: 32, OpenMost: 2})
		admit(t, g, write).Park()
		admit(t, g, write).Park()
		_, err := g.Admit(t.Context(), write)
		var over *admission.OverloadError
		if !errors.As(err, &over) || over.RetryAfter != time.Second || over.Class != admission.Writes {
			t.Errorf("%v", err)
		}
	})
}

func TestHeavyOnesComeInToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, order := small(), make(chan string, 10)
		heavy := admission.Ask{Class: admission.Writes, Units: admission.Units(10 << 20)}
		if heavy.Units != 8 || admission.Units(4096) != 1 || admission.Units(-1) != 1 {
			t.Errorf("units: %d", heavy.Units)
		}
		p := admit(t, g, heavy)
		ask(t.Context(), g, read, "light", order)
		take(t, order)
		p.Done()
		take(t, order, "light")
	})
}

func TestANilGateAdmitsEverything(t *testing.T) {
	var g *admission.Gate
	p := admit(t, g, read)
	p.Park()
	p.Unpark()
	p.Done()
	if s := g.Status(); s.Open != 0 {
		t.Error(s)
	}
}

func TestTheLimitGrowsWhileWorkIsFastAndShrinksWhenItIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate(admission.Options{LimitFirst: 64})
		round := func(took time.Duration) {
			var all []*admission.Permit
			for range 60 {
				p, err := g.Admit(t.Context(), read)
				if err != nil {
					break
				}
				all = append(all, p)
			}
			time.Sleep(took)
			for _, p := range all {
				p.Done()
			}
		}
		for range 100 {
			round(10 * time.Millisecond)
		}
		grown := g.Status().Limit
		if grown <= 64 {
			t.Errorf("with fast work the limit is %d", grown)
		}
		for range 100 {
			round(200 * time.Millisecond)
		}
		if shrunk := g.Status().Limit; shrunk >= grown/2 || shrunk < 32 {
			t.Errorf("after slow work the limit is %d, from %d", shrunk, grown)
		}
	})
}
