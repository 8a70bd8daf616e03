package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
)

func queryCommand(c *client) *cobra.Command {
	var vector, text, like, filter string
	var topK, probes uint32
	var exact, explain bool
	cmd := &cobra.Command{
		Use: "query BUCKET/INDEX (--text TEXT | --vector JSON | --like KEY)", Short: "Find the nearest neighbours", Args: exactly(1),
		Example: "  tarn query docs/notes --text 'a text editor for the terminal' --filter '{\"section\":\"editors\"}'\n  tarn query docs/notes --vector @query.json -k 5\n  tarn query docs/notes --like vim",
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, name, err := indexPlace(args[0])
			if err != nil {
				return err
			}
			req := &tarnv1.QueryRequest{Bucket: bucket, Index: name, TopK: topK, Probes: probes, Exact: exact, WithMetadata: true, Explain: explain}
			if err := setTarget(req, vector, text, like); err != nil {
				return err
			}
			if filter != "" {
				req.Filter = &structpb.Struct{}
				if err := protojson.Unmarshal([]byte(filter), req.Filter); err != nil {
					return &usageError{"--filter: " + err.Error()}
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
	f.StringVar(&filter, "filter", "", "a metadata filter as JSON, as in S3 Vectors")
	f.Uint32VarP(&topK, "top-k", "k", 10, "hits, to 10000")
	f.Uint32Var(&probes, "probes", 0, "neighbourhoods to look into (0: automatic)")
	f.BoolVar(&exact, "exact", false, "compare with every vector")
	f.BoolVar(&explain, "explain", false, "say what the query did")
	cmd.MarkFlagsOneRequired("vector", "text", "like")
	cmd.MarkFlagsMutuallyExclusive("vector", "text", "like")
	return cmd
}

func setTarget(req *tarnv1.QueryRequest, vector, text, like string) error {
	switch {
	case text != "":
		req.Target = &tarnv1.QueryRequest_Text{Text: text}
	case like != "":
		req.Target = &tarnv1.QueryRequest_Like{Like: like}
	default:
		values, err := readVector(vector)
		if err != nil {
			return err
		}
		req.Target = &tarnv1.QueryRequest_Values{Values: littleEndian(values)}
	}
	return nil
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
	t := &table{columns: []string{"Distance", "Key", "Metadata"}}
	for _, h := range res.Hits {
		t.add(h.Distance, h.Key, metadataCell{h.Metadata.AsMap()})
	}
	if err := t.print(cmd.OutOrStdout(), c.output); err != nil {
		return err
	}
	if e := res.Explain; e != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "probed %d of %d neighbourhoods, compared %d, re-ranked %d, read %s, exact %v, recall last measured %.3f, %.0f µs\n",
			e.Probed, e.Neighbourhoods, e.Scanned, e.Reranked, byteCount(e.BytesRead), e.Exact, e.Recall, e.Micros)
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
