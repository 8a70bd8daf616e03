package embed

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"

	"github.com/tarnlake/tarn/vectors"
)

// Limits of one call.
const (
	TextsMax       = 2048
	TextBytesMax   = 1 << 20
	answerBytesMax = 256 << 20
	numberBytesMax = 64 // of one number as text, with the white space around it
	reasonBytesMax = 500
)

// ErrEmbedder: the embedder's server did not give usable vectors. Retrying may help.
var ErrEmbedder = errors.New("embed: the embedder failed")

// Client asks embedders over HTTP. The zero value is not usable; see New.
type Client struct {
	http *http.Client
	key  string // bearer token for the embedder, or empty
}

// New makes a client. key is sent as a bearer token when it is not empty.
func New(c *http.Client, key string) *Client { return &Client{http: c, key: key} }

type openaiRequest struct {
	Model    string   `json:"model"`
	Input    []string `json:"input"`
	Encoding string   `json:"encoding_format"`
}

type openaiAnswer struct {
	Data []struct {
		Index     int             `json:"index"`
		Embedding json.RawMessage `json:"embedding"`
	} `json:"data"`
}

// Embed returns one vector of spec.Dimension for each text, in order.
func (c *Client) Embed(ctx context.Context, spec vectors.EmbedderSpec, texts []string) ([][]float32, error) {
	if spec.Kind != "openai" {
		return nil, fmt.Errorf("%w: kind %q is not known (openai is)", ErrEmbedder, spec.Kind)
	}
	if len(texts) == 0 || len(texts) > TextsMax {
		return nil, fmt.Errorf("%w: %d texts, a call takes 1 to %d", ErrEmbedder, len(texts), TextsMax)
	}
	for i, t := range texts {
		if len(t) > TextBytesMax {
			return nil, fmt.Errorf("%w: text %d has %d bytes, the most is %d", ErrEmbedder, i, len(t), TextBytesMax)
		}
	}
	body, err := json.Marshal(openaiRequest{Model: spec.Model, Input: texts, Encoding: "base64"})
	if err != nil {
		return nil, fmt.Errorf("encode the texts: %w", err)
	}
	bytesMax := min(answerBytesMax, 1<<20+len(texts)*spec.Dimension*numberBytesMax)
	raw, err := c.post(ctx, strings.TrimRight(spec.URL, "/")+"/embeddings", body, bytesMax)
	if err != nil {
		return nil, err
	}
	var answer openaiAnswer
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, fmt.Errorf("%w: decode the answer: %v", ErrEmbedder, err)
	}
	if why := reason(raw); len(answer.Data) == 0 && why != "" {
		return nil, fmt.Errorf("%w: it answered: %s", ErrEmbedder, why)
	}
	return answer.vectors(len(texts), spec.Dimension)
}

// post returns the body of an answer with status 200.
func (c *Client) post(ctx context.Context, url string, body []byte, bytesMax int) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEmbedder, err)
	}
	req.Header.Set("Content-Type", "application/json")
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEmbedder, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, int64(bytesMax)+1))
	at := req.URL.Redacted()
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: read the answer of %s: %w", ErrEmbedder, at, err)
	case res.StatusCode != http.StatusOK:
		why := reason(raw)
		if why == "" {
			why = http.StatusText(res.StatusCode)
		}
		return nil, fmt.Errorf("%w: %s answered %d: %s", ErrEmbedder, at, res.StatusCode, why)
	case len(raw) > bytesMax:
		return nil, fmt.Errorf("%w: the answer of %s passes %d bytes", ErrEmbedder, at, bytesMax)
	}
	return raw, nil
}

// reason is what a server says went wrong: OpenAI's {"error":{"message":…}}, or the
// {"error":…}, {"message":…} or {"detail":…} of others.
func reason(raw []byte) string {
	var said struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
		Detail  string          `json:"detail"`
	}
	_ = json.Unmarshal(raw, &said) // what could be read counts
	var nested struct {
		Message string `json:"message"`
	}
	var flat string
	_, _ = json.Unmarshal(said.Error, &nested), json.Unmarshal(said.Error, &flat)
	why := strings.ToValidUTF8(cmp.Or(nested.Message, flat, said.Message, said.Detail), "?")
	if len(why) > reasonBytesMax {
		why = strings.ToValidUTF8(why[:reasonBytesMax], "") + "…"
	}
	return why
}

func (a *openaiAnswer) vectors(n, dimension int) ([][]float32, error) {
	if len(a.Data) != n {
		return nil, fmt.Errorf("%w: %d vectors for %d texts", ErrEmbedder, len(a.Data), n)
	}
	out := make([][]float32, n)
	for _, d := range a.Data {
		if d.Index < 0 || d.Index >= n || out[d.Index] != nil {
			return nil, fmt.Errorf("%w: the answer has a wrong or repeated index %d", ErrEmbedder, d.Index)
		}
		v, err := decodeEmbedding(d.Embedding)
		if err != nil {
			return nil, err
		}
		if len(v) != dimension {
			return nil, fmt.Errorf("%w: a vector has dimension %d, the index has %d", ErrEmbedder, len(v), dimension)
		}
		out[d.Index] = v
	}
	return out, nil
}

// decodeEmbedding reads either form of the protocol: numbers, or float32 little
// endian in base64.
func decodeEmbedding(raw json.RawMessage) ([]float32, error) {
	var v []float32
	if len(raw) > 0 && raw[0] == '"' {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, fmt.Errorf("%w: decode a vector: %v", ErrEmbedder, err)
		}
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(b)%4 != 0 {
			return nil, fmt.Errorf("%w: a vector is not float32 in base64", ErrEmbedder)
		}
		v = make([]float32, len(b)/4)
		for i := range v {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
	} else if bytes.Contains(raw, []byte("null")) { // which encoding/json takes for zero
		return nil, fmt.Errorf("%w: a vector is or holds null", ErrEmbedder)
	} else if err := json.Unmarshal(raw, &v); err != nil {
		return nil, fmt.Errorf("%w: decode a vector: %v", ErrEmbedder, err)
	}
	for _, x := range v {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return nil, fmt.Errorf("%w: a vector holds a number that is not finite", ErrEmbedder)
		}
	}
	return v, nil
}
