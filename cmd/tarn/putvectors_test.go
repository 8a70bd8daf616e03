package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	"github.com/tarnlake/tarn/proto/tarn/v1/tarnv1connect"
)

// taker is a vector service that remembers keys and fails the batch that holds one.
type taker struct {
	tarnv1connect.VectorServiceClient
	fails string

	mu    sync.Mutex
	taken map[string]bool
}

var errFull = errors.New("the store is full")

func (s *taker) Put(_ context.Context, req *tarnv1.PutRequest) (*tarnv1.PutResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range req.Vectors {
		if v.Key == s.fails {
			return nil, errFull
		}
	}
	for _, v := range req.Vectors {
		s.taken[v.Key] = true
	}
	return &tarnv1.PutResponse{}, nil
}

func linesFile(t *testing.T, rows int) vectorFile {
	t.Helper()
	var b strings.Builder
	for i := range rows {
		fmt.Fprintf(&b, "{\"key\":\"%d\",\"vector\":[1]}\n", i)
	}
	f, err := openVectorFile(put(t, "rows.jsonl", []byte(b.String())), defaults)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestFailedPushResumesWithoutAGap(t *testing.T) {
	const rows = 10*batchVectors + 17
	s := &taker{taken: map[string]bool{}, fails: fmt.Sprint(6*batchVectors + 1)}
	all, prefix, err := push(t.Context(), s, "b", "i", linesFile(t, rows), func(int64) {})
	if !errors.Is(err, errFull) || all != int64(len(s.taken)) {
		t.Fatalf("%d acknowledged, %d taken, %v", all, len(s.taken), err)
	}
	if prefix > 6*batchVectors || prefix%batchVectors != 0 {
		t.Errorf("a prefix of %d rows, though row %s failed", prefix, s.fails)
	}
	for i := range prefix {
		if !s.taken[fmt.Sprint(i)] {
			t.Fatalf("row %d of the first %d is missing", i, prefix)
		}
	}
	s.fails = ""
	rest := linesFile(t, rows)
	if err := skipRows(rest, prefix); err != nil {
		t.Fatal(err)
	}
	all, again, err := push(t.Context(), s, "b", "i", rest, func(int64) {})
	if err != nil || all != rows-prefix || again != all || len(s.taken) != rows {
		t.Errorf("%d and %d acknowledged after %d, %d taken, %v", all, again, prefix, len(s.taken), err)
	}
}

func TestAcknowledgedPrefixEndsAtTheFirstGap(t *testing.T) {
	a := acknowledgements{beyond: map[int]int64{}}
	for _, step := range []struct {
		number      int
		rows        int64
		all, prefix int64
	}{{1, 10, 10, 0}, {3, 10, 20, 0}, {0, 10, 30, 20}, {4, 7, 37, 20}, {2, 10, 47, 47}} {
		a.add(step.number, step.rows, func(int64) {})
		if a.all != step.all || a.prefix != step.prefix {
			t.Errorf("after batch %d: %d and %d, want %d and %d", step.number, a.all, a.prefix, step.all, step.prefix)
		}
	}
}

func TestSkipStaysWithinTheFile(t *testing.T) {
	if err := skipRows(linesFile(t, 3), 3); err != nil {
		t.Error(err)
	}
	if err := skipRows(linesFile(t, 3), 4); statusOf(err) != statusUsage || !strings.Contains(err.Error(), "only 3 rows") {
		t.Errorf("%v", err)
	}
}

// TestACutOffLoadGoesOnWhereItStopped: with the same progress file, and with no other file or index.
func TestACutOffLoadGoesOnWhereItStopped(t *testing.T) {
	const rows = 10*batchVectors + 17
	file := put(t, "rows.jsonl", []byte("{}"))
	kept := file + ".progress"
	s := &taker{taken: map[string]bool{}, fails: fmt.Sprint(6*batchVectors + 1)}
	load := func() error {
		p, err := openProgress(kept, file, "b/i")
		if err != nil {
			return err
		}
		f := linesFile(t, rows)
		if err := skipRows(f, p.state.Rows); err != nil {
			return err
		}
		from := p.state.Rows
		_, prefix, err := push(t.Context(), s, "b", "i", f, func(rows int64) { p.reached(from+rows, time.Now()) })
		if err != nil {
			return errors.Join(err, p.save(from+prefix))
		}
		return p.done()
	}
	if err := load(); !errors.Is(err, errFull) {
		t.Fatal(err)
	}
	p, err := openProgress(kept, file, "b/i")
	if err != nil || p.state.Rows == 0 || p.state.Rows > 6*batchVectors {
		t.Fatalf("%+v, %v", p, err)
	}
	for i := range p.state.Rows {
		if !s.taken[fmt.Sprint(i)] {
			t.Fatalf("row %d counts as taken and is not", i)
		}
		delete(s.taken, fmt.Sprint(i))
	}
	before := p.state.Rows
	if _, err := openProgress(kept, file, "b/other"); err == nil {
		t.Error("the progress of another index was taken")
	}
	if _, err := openProgress(kept, put(t, "rows.jsonl", []byte("{}")), "b/i"); err == nil {
		t.Error("the progress of another file was taken")
	}
	s.fails = ""
	if err := load(); err != nil {
		t.Fatal(err)
	}
	for i := before; i < rows; i++ {
		if !s.taken[fmt.Sprint(i)] {
			t.Errorf("row %d is missing", i)
		}
	}
	if s.taken["0"] {
		t.Error("the first row was pushed again")
	}
	if p, err := openProgress(kept, file, "b/i"); err != nil || p.state.Rows != 0 {
		t.Errorf("after the load: %+v, %v", p, err)
	}
}
