package hosttest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarnlake/tarn/host/hosttest"
)

func TestClockWakesInOrderWhenAdvanced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.NewClock()
		var order []string
		sleep := func(name string, d time.Duration) {
			go func() {
				if c.Sleep(t.Context(), d) == nil {
					order = append(order, name)
				}
			}()
			synctest.Wait()
		}
		sleep("late", 2*time.Second)
		sleep("early", time.Second)
		if c.Advance(999 * time.Millisecond); c.Waiting() != 2 {
			t.Fatal("woke too soon")
		}
		c.Advance(time.Millisecond)
		synctest.Wait()
		c.Advance(time.Hour)
		synctest.Wait()
		if len(order) != 2 || order[0] != "early" || order[1] != "late" {
			t.Fatalf("woke %v", order)
		}
		if got := c.Now().Sub(hosttest.Epoch); got != time.Hour+time.Second {
			t.Fatalf("the clock shows %v", got)
		}
	})
}

func TestSleepEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.NewClock()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Sleep(ctx, time.Hour) }()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) || c.Waiting() != 0 {
			t.Fatalf("%v, %d waiting", err, c.Waiting())
		}
	})
}

func TestAfterFuncRunsOnceUnlessStopped(t *testing.T) {
	c := hosttest.NewClock()
	ran := make(chan int, 4)
	c.AfterFunc(time.Second, func() { ran <- 1 })
	stop := c.AfterFunc(time.Second, func() { ran <- 2 })
	if !stop() || stop() {
		t.Fatal("stop must tell whether it came in time")
	}
	c.Advance(time.Minute)
	if got := <-ran; got != 1 {
		t.Fatalf("ran %d", got)
	}
}

func TestAutoAdvanceLetsSleepersGoOn(t *testing.T) {
	c := hosttest.NewClock()
	stop := c.AutoAdvance()
	for range 5 {
		if err := c.Sleep(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	stop()
	if got := c.Now().Sub(hosttest.Epoch); got != 5*time.Hour {
		t.Fatalf("the clock shows %v", got)
	}
}

func TestEntropyDependsOnlyOnItsSeed(t *testing.T) {
	draw := func(seed int64) []byte {
		b := make([]byte, 64)
		if _, err := io.ReadFull(hosttest.New(seed).Entropy, b); err != nil {
			t.Fatal(err)
		}
		return b
	}
	if !bytes.Equal(draw(1), draw(1)) || bytes.Equal(draw(1), draw(2)) {
		t.Fatal("the seed must decide the bytes, alone")
	}
}
