package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/spf13/cobra"

	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	"github.com/tarnlake/tarn/vectors"
)

func queryCommand(c *client) *cobra.Command {
	var vector, text, like, filter, ranking string
	var topK, probes uint32
	var exact, explain bool
	var words []string
	var within float64
	cmd := &cobra.Command{
		Use: "query BUCKET/INDEX (--text TEXT | --vector JSON | --like KEY | --words KEY=WORDS)", Short: "Find the nearest neighbours, or what holds words", Args: exactly(1),
		Example: "  tarn query docs/notes --text 'a text editor for the terminal' --filter '{\"section\":\"editors\"}'\n  tarn query docs/notes --vector @query.json -k 5\n  tarn query docs/notes --like vim\n  tarn query docs/notes --words 'body=modal editor' --text 'edit files quickly'",
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, name, err := indexPlace(args[0])
			if err != nil {
				return err
			}
			req := &tarnv1.QueryRequest{Bucket: bucket, Index: name, TopK: topK, Probes: probes, Exact: exact, WithMetadata: true, Explain: explain}
			if err := setTarget(req, vector, text, like); err != nil {
				return err
			}
			if req.Ranking, err = readRanking(ranking); err != nil {
				return err
			}
			if req.Texts, err = readWords(words); err != nil {
				return err
			}
			if req.Filter, err = readFilter(filter); err != nil {
				return err
			}
			if cmd.Flags().Changed("within") {
				req.Within = &within
				if !cmd.Flags().Changed("top-k") {
					req.TopK = 0
				}
			}
			v, err := c.vectors(cmd.Context())
			if err != nil {
				return err
			}
			res, err := v.Query(cmd.Context(), req)
			if err != nil {
				return err
			}
			return printHits(cmd, c, res)
		},
	}
	f := cmd.Flags()
	f.StringVar(&vector, "vector", "", "numbers as a JSON array, or @FILE with one")
	f.StringVar(&text, "text", "", "a text, embedded by the index's embedder")
	f.StringVar(&like, "like", "", "the key of a stored vector")
	f.StringVar(&filter, "filter", "", filterHelp)
	f.Uint32VarP(&topK, "top-k", "k", 10, "hits, to 10000")
	f.Uint32Var(&probes, "probes", 0, "neighbourhoods to look into (0: automatic)")
	f.BoolVar(&exact, "exact", false, "compare with every vector")
	f.StringVar(&ranking, "ranking", "", "what decides in the end: full numbers, or bytes, which are rounded (default: as the server is set)")
	f.BoolVar(&explain, "explain", false, "say what the query did")
	f.StringArrayVar(&words, "words", nil, "look for words in a text key of the index, as KEY=WORDS; may be repeated")
	f.Float64Var(&within, "within", 0, "only what is no farther, all of it up to --top-k (10000)")
	cmd.MarkFlagsOneRequired("vector", "text", "like", "words")
	cmd.MarkFlagsMutuallyExclusive("vector", "text", "like")
	return cmd
}

func readRanking(name string) (tarnv1.Ranking, error) {
	if name == "" {
		return tarnv1.Ranking_RANKING_UNSPECIFIED, nil
	}
	switch r, _ := vectors.ParseRanking(name); r {
	case vectors.RankingFull:
		return tarnv1.Ranking_RANKING_FULL, nil
	case vectors.RankingBytes:
		return tarnv1.Ranking_RANKING_BYTES, nil
	}
	return 0, &usageError{fmt.Sprintf("--ranking: %q is neither full nor bytes", name)}
}

func setTarget(req *tarnv1.QueryRequest, vector, text, like string) error {
	switch {
	case text != "":
		req.Target = &tarnv1.QueryRequest_Text{Text: text}
	case like != "":
		req.Target = &tarnv1.QueryRequest_Like{Like: like}
	case vector != "":
		values, err := readVector(vector)
		if err != nil {
			return err
		}
		req.Target = &tarnv1.QueryRequest_Values{Values: littleEndian(values)}
	}
	return nil
}

// readWords reads KEY=WORDS.
func readWords(args []string) (texts []*tarnv1.TextQuery, err error) {
	for _, arg := range args {
		key, text, ok := strings.Cut(arg, "=")
		if !ok || key == "" {
			return nil, &usageError{fmt.Sprintf("--words: %q is not KEY=WORDS", arg)}
		}
		texts = append(texts, &tarnv1.TextQuery{Key: key, Text: text})
	}
	return texts, nil
}

func readVector(arg string) ([]float32, error) {
	raw := []byte(arg)
	if name, ok := strings.CutPrefix(arg, "@"); ok {
		var err error
		if raw, err = os.ReadFile(name); err != nil {
			return nil, &usageError{"--vector: " + err.Error()}
		}
	}
	var values []float32
	if err := json.Unmarshal(raw, &values); err != nil {
		return nil, &usageError{"--vector: needs a JSON array of numbers: " + err.Error()}
	}
	return values, nil
}

// littleEndian is the wire form of values: float32, 4 bytes each.
func littleEndian(values []float32) []byte {
	out := make([]byte, 0, 4*len(values))
	for _, v := range values {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
	}
	return out
}

func printHits(cmd *cobra.Command, c *client, res *tarnv1.QueryResponse) error {
	scored := len(res.Hits) > 0 && res.Hits[0].Score > 0
	t := &table{columns: []string{"Distance", "Key", "Metadata"}}
	if scored {
		t.columns = []string{"Score", "Distance", "Key", "Metadata"}
	}
	for _, h := range res.Hits {
		if scored {
			t.add(h.Score, h.Distance, h.Key, metadataCell{h.Metadata.AsMap()})
			continue
		}
		t.add(h.Distance, h.Key, metadataCell{h.Metadata.AsMap()})
	}
	if err := t.print(cmd.OutOrStdout(), c.output); err != nil {
		return err
	}
	if res.More {
		fmt.Fprintln(cmd.ErrOrStderr(), "there are more within that distance")
	}
	if e := res.Explain; e != nil {
		if e.Plan != "" {
			fmt.Fprintf(cmd.ErrOrStderr(), "filter: %s, means %d vectors\n", e.Plan, e.Selected)
		}
		if e.TextMatches > 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "words: in %d vectors\n", e.TextMatches)
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "probed %d of %d cells, %d of %d blocks in memory, compared %d, re-ranked %d, read %s in %d rounds, exact %v, rounded %v, recall last measured %.3f, %.0f µs\n",
			e.Probed, e.Cells, e.CacheHits, e.Blocks, e.Scanned, e.Reranked, byteCount(e.BytesRead), e.Rounds, e.Exact, e.Rounded, e.Recall, e.Micros)
	}
	return nil
}

// metadataCell prints metadata on one line, cut to fit a terminal; in JSON it is whole.
type metadataCell struct{ fields map[string]any }

func (m metadataCell) MarshalJSON() ([]byte, error) { return plainJSON(m.fields) }

func (m metadataCell) String() string {
	const charsMax = 100
	b, err := plainJSON(m.fields)
	if err != nil {
		return err.Error()
	}
	if r := []rune(string(b)); len(r) > charsMax {
		return string(r[:charsMax-1]) + "…"
	}
	return string(b)
}
