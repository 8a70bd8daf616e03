package embed

import (
	"bytes"
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
	Error *struct {
		Message string `json:"message"`
	} `json:"error"`
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
	answer, err := c.post(ctx, strings.TrimRight(spec.URL, "/")+"/embeddings", body)
	if err != nil {
		return nil, err
	}
	return answer.vectors(len(texts), spec.Dimension)
}

func (c *Client) post(ctx context.Context, url string, body []byte) (*openaiAnswer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrEmbedder, err)
	}
	req.Header.Set("Content-Type", "application/json")
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrEmbedder, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, answerBytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("%w: read the answer: %v", ErrEmbedder, err)
	}
	if len(raw) > answerBytesMax {
		return nil, fmt.Errorf("%w: the answer passes %d bytes", ErrEmbedder, answerBytesMax)
	}
	var answer openaiAnswer
	err = json.Unmarshal(raw, &answer)
	if res.StatusCode != http.StatusOK {
		why := http.StatusText(res.StatusCode)
		if err == nil && answer.Error != nil {
			why = answer.Error.Message
		}
		return nil, fmt.Errorf("%w: %s answered %d: %s", ErrEmbedder, url, res.StatusCode, why)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: decode the answer: %v", ErrEmbedder, err)
	}
	return &answer, nil
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
