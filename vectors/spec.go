package vectors

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tarnlake/tarn/vectors/distance"
	"github.com/tarnlake/tarn/vectors/lexicon"
)

// Limits, those of S3 Vectors.
const (
	DimensionMax      = 4096
	KeyBytesMax       = 1024
	BatchMax          = 500 // vectors of a put or a delete
	GetMax            = 100 // keys of a get
	PageMax           = 1000
	SegmentsMax       = 16 // of a list
	TopKMax           = 10_000
	NonFilterableMax  = 10
	NonFilterableName = 63 // characters of such a key
	nameMin, nameMax  = 3, 63
	embedderTextMax   = 1024
)

// Spec is what an index is made with. It never changes.
type Spec struct {
	Name          string
	Dimension     int             // 1 to 4096
	Metric        distance.Metric // zero: Cosine
	NonFilterable []string        // metadata keys that filters may not name; at most 10
	Texts         []string        // metadata keys that are searched by words, or keys in a language: TextIn; at most 10. It may change
	Embedder      *EmbedderSpec   // nil: the index makes no vectors from text
	RecallTarget  float64         // share of the ten nearest that an automatic query is to find, 0.5 to 0.999; zero: RecallDefault. It may change
}

// EmbedderSpec is the model that makes an index's vectors from text.
type EmbedderSpec struct {
	Kind      string // "openai"
	URL       string
	Model     string
	Revision  string
	Dimension int // zero: the index's
}

// Info describes an index.
type Info struct {
	Spec
	Bucket         string
	Created        time.Time
	Vectors        uint64  // alive; those of a dead source count until they are reaped
	Neighbourhoods int     // 0 while the index is young and scanned exactly
	Cells          int     // into which neighbourhoods are divided; one without any counts as one
	Segments       int     // segment files
	RowFiles       int     // files of rows
	TailVectors    int     // not yet folded into segments
	TailBytes      int64   // of them
	Superseded     int     // overwritten or deleted, but not yet dropped from segments
	Probes         int     // cells that an automatic query looks into
	Recall         float64 // measured at 10 when Probes was chosen; 0: not yet
}

func (s *Spec) validate() error {
	if s.Metric == 0 {
		s.Metric = distance.Cosine
	}
	switch {
	case ValidateIndexName(s.Name) != nil:
		return ValidateIndexName(s.Name)
	case s.Dimension < 1 || s.Dimension > DimensionMax:
		return invalid("dimension", "is %d, must be 1 to %d", s.Dimension, DimensionMax)
	case !s.Metric.Known():
		return invalid("distanceMetric", "is unknown; known are cosine, euclidean and dot")
	}
	if s.RecallTarget != 0 {
		if err := validateTarget(s.RecallTarget, "recallTarget"); err != nil {
			return err
		}
	}
	if err := s.validateNonFilterable(); err != nil {
		return err
	}
	if err := validateTexts(s.Texts, "metadataConfiguration.textSearchConfigurations"); err != nil {
		return err
	}
	return s.validateEmbedder()
}

func (s *Spec) validateNonFilterable() error {
	const field = "metadataConfiguration.nonFilterableMetadataKeys"
	if len(s.NonFilterable) > NonFilterableMax {
		return invalid(field, "has %d keys, more than %d", len(s.NonFilterable), NonFilterableMax)
	}
	for i, k := range s.NonFilterable {
		if k == "" || len(k) > NonFilterableName {
			return invalid(field, "a key has %d bytes, must have 1 to %d", len(k), NonFilterableName)
		}
		if slices.Contains(s.NonFilterable[:i], k) {
			return invalid(field, "names %q twice", k)
		}
	}
	return nil
}

// Limits of the keys that are searched by words.
const (
	TextsMax     = 10
	textBytesMax = 63 // of such a key
)

func validateTexts(keys []string, field string) error {
	if len(keys) > TextsMax {
		return invalid(field, "has %d keys, more than %d", len(keys), TextsMax)
	}
	fields := fieldsOf(keys)
	for i, k := range fields {
		if k == "" || len(k) > textBytesMax {
			return invalid(field, "a key has %d bytes, must have 1 to %d", len(k), textBytesMax)
		}
		if slices.Contains(fields[:i], k) {
			return invalid(field, "names %q twice", k)
		}
		if _, language := lexicon.FieldOf(keys[i]); keys[i] != k && !slices.Contains(lexicon.Languages(), language) {
			return invalid(fmt.Sprintf("%s[%d].language", field, i), "%q is none of %s", language, strings.Join(lexicon.Languages(), ", "))
		}
	}
	return nil
}

// TextIn is the member of Spec.Texts for a key whose words are in a language, such as "en": they are found by
// their stems, and the commonest are passed over. "" is none.
func TextIn(key, language string) string { return lexicon.TextIn(key, language) }

// TextOf is the key and the language of a member of Spec.Texts.
func TextOf(name string) (key, language string) { return lexicon.FieldOf(name) }

func (s *Spec) validateEmbedder() error {
	e := s.Embedder
	if e == nil {
		return nil
	}
	if e.Dimension == 0 {
		e.Dimension = s.Dimension
	}
	if e.Dimension != s.Dimension {
		return invalid("embedder.dimension", "is %d, but the index has %d", e.Dimension, s.Dimension)
	}
	if e.Kind == "" || e.Model == "" {
		return invalid("embedder", "needs a kind and a model")
	}
	if len(e.Kind)+len(e.URL)+len(e.Model)+len(e.Revision) > embedderTextMax {
		return invalid("embedder", "has more than %d bytes", embedderTextMax)
	}
	return nil
}

// filterable reports whether filters may name a metadata key.
func (s *Spec) filterable(key string) bool { return !slices.Contains(s.NonFilterable, key) }

// ValidateIndexName checks a name by the rules of S3 Vectors: 3 to 63 of a-z, 0-9,
// dot and hyphen, beginning and ending with a letter or a digit.
func ValidateIndexName(name string) error {
	if len(name) < nameMin || len(name) > nameMax {
		return invalid("indexName", "has %d characters, must have %d to %d", len(name), nameMin, nameMax)
	}
	for _, c := range name {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789.-", c) {
			return invalid("indexName", "has the character %q; allowed are a-z, 0-9, . and -", c)
		}
	}
	if strings.ContainsAny(name[:1]+name[len(name)-1:], ".-") {
		return invalid("indexName", "must begin and end with a letter or a digit")
	}
	return nil
}
