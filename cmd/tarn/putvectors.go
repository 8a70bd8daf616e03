package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	"github.com/tarnlake/tarn/proto/tarn/v1/tarnv1connect"
)

// batchVectors is how many vectors go in one call; pushers is how many calls are
// under way at once.
const (
	batchVectors = 500
	pushers      = 4
)

// vectorFile yields batches of vectors from a file, then io.EOF.
type vectorFile interface {
	next(n int) ([]*tarnv1.Vector, error)
	total() int64 // rows, or -1
	Close() error
}

// vectorColumns name what is what in a file with columns.
type vectorColumns struct {
	key, values string
	metadata    []string // none: all other scalar columns
}

func putVectorsCommand(c *client) *cobra.Command {
	var columns vectorColumns
	var skip int64
	var kept string
	cmd := &cobra.Command{
		Use:   "put-vectors FILE BUCKET/INDEX",
		Short: "Push the vectors of a .parquet, .arrow, .jsonl, .npy or .fvecs file",
		Long: "Push the vectors of a file into an index; a key that is there already is replaced.\n\n" +
			".parquet  a column of keys, one of vectors (lists of floats), others become metadata\n" +
			".arrow    the same, as an Arrow file or stream\n" +
			".jsonl    a line each: {\"key\":\"a\",\"vector\":[0.1,0.2],\"metadata\":{\"section\":\"x\"}}\n" +
			".npy      a two-dimensional array, C-ordered, float32 or float64; keys are row numbers\n" +
			".fvecs    rows of float32 after their dimension; keys are row numbers",
		Example: "  tarn put-vectors debian.parquet docs/packages --metadata section,priority\n  tarn put-vectors rows.jsonl docs/notes",
		Args:    exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, name, err := indexPlace(args[1])
			if err != nil {
				return err
			}
			if skip < 0 {
				return &usageError{"--skip: is negative"}
			}
			f, err := openVectorFile(args[0], columns)
			if err != nil {
				return err
			}
			defer f.Close()
			v, err := c.vectors(cmd.Context())
			if err != nil {
				return err
			}
			progress, err := openProgress(kept, args[0], args[1])
			if err != nil {
				return err
			}
			skip = max(skip, progress.state.Rows)
			if err := skipRows(f, skip); err != nil {
				return err
			}
			n, prefix, err := push(cmd.Context(), v, bucket, name, f, func(rows int64) { progress.reached(skip+rows, time.Now()) })
			if err == nil {
				err = progress.done()
			} else {
				err = errors.Join(err, progress.save(skip+prefix))
			}
			if err != nil {
				return fmt.Errorf("%w (%d vectors were acknowledged; all of the first %d rows are in: go on with --skip %d)", err, n, skip+prefix, skip+prefix)
			}
			t := &table{columns: []string{"Index", "Vectors"}}
			t.add(args[1], n)
			return t.print(cmd.OutOrStdout(), c.output)
		},
	}
	f := cmd.Flags()
	f.StringVar(&columns.key, "key-column", "key", "column of the keys (.npy and .fvecs have row numbers)")
	f.StringVar(&columns.values, "vector-column", "vector", "column of the vectors")
	f.StringSliceVar(&columns.metadata, "metadata", nil, "columns that become metadata (default: all other scalar ones)")
	f.StringVar(&kept, "progress", "", "file in which the load notes how far it came; with the same again it goes on there")
	f.Int64Var(&skip, "skip", 0, "rows to pass over at the beginning, as an earlier failure said")
	return cmd
}

// skipRows passes over the first n rows.
func skipRows(f vectorFile, n int64) error {
	for left := n; left > 0; {
		batch, err := f.next(int(min(left, batchVectors)))
		left -= int64(len(batch))
		if err == io.EOF && left > 0 {
			return &usageError{fmt.Sprintf("--skip: the file has only %d rows", n-left)}
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("skip %d rows: %w", n, err)
		}
	}
	return nil
}

func openVectorFile(name string, columns vectorColumns) (vectorFile, error) {
	switch ext := strings.ToLower(filepath.Ext(name)); ext {
	case ".parquet":
		return openParquet(name, columns)
	case ".arrow", ".arrows", ".feather", ".ipc":
		return openArrow(name, columns)
	case ".jsonl", ".ndjson":
		return openJSONL(name)
	case ".npy":
		return openNPY(name)
	case ".fvecs":
		return openFvecs(name)
	default:
		return nil, &usageError{fmt.Sprintf("%s: %q is not .parquet, .arrow, .jsonl, .npy or .fvecs", name, ext)}
	}
}

// batch is a run of a file's rows.
type batch struct {
	number  int
	vectors []*tarnv1.Vector
}

// acknowledgements count what the server has taken, which is not in the order of the rows.
type acknowledgements struct {
	mu     sync.Mutex
	all    int64
	prefix int64         // rows from the first on without a gap
	batch  int           // that prefix ends before
	beyond map[int]int64 // rows of the batches after the gap
}

// add counts a batch and tells the rows without a gap.
func (a *acknowledgements) add(number int, rows int64, tell func(prefix int64)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer func() { tell(a.prefix) }()
	a.all += rows
	a.beyond[number] = rows
	for n, ok := a.beyond[a.batch]; ok; n, ok = a.beyond[a.batch] {
		delete(a.beyond, a.batch)
		a.prefix += n
		a.batch++
	}
}

// push sends a file in batches; it returns how many vectors were acknowledged, and how
// many rows from the first on without a gap. tell hears of the latter, one call at a time.
func push(ctx context.Context, v tarnv1connect.VectorServiceClient, bucket, name string, f vectorFile, tell func(rows int64)) (all, prefix int64, err error) {
	bar := progress(f.total(), "pushing", false)
	defer bar.Close()
	batches := make(chan batch)
	taken := acknowledgements{beyond: map[int]int64{}}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(batches)
		return read(ctx, f, batches)
	})
	for range pushers {
		g.Go(func() error {
			for b := range batches {
				if _, err := v.Put(ctx, &tarnv1.PutRequest{Bucket: bucket, Index: name, Vectors: b.vectors}); err != nil {
					return err
				}
				taken.add(b.number, int64(len(b.vectors)), tell)
				_ = bar.Add(len(b.vectors))
			}
			return nil
		})
	}
	err = g.Wait()
	return taken.all, taken.prefix, err
}

func read(ctx context.Context, f vectorFile, batches chan<- batch) error {
	for number := 0; ; number++ {
		vectors, err := f.next(batchVectors)
		if len(vectors) > 0 {
			select {
			case batches <- batch{number, vectors}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
