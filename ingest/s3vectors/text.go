package s3vectors

import (
	"fmt"

	"github.com/tarnlake/tarn/vectors"
)

// textSearch is one metadata key that is searched by words. Every change is in force when it has answered, so
// that its status is always ACTIVE.
type textSearch struct {
	Key      string `json:"metadataKey"`
	Language string `json:"language,omitempty"`
	Status   string `json:"status,omitempty"`
}

// textQuery asks for words in one of them.
type textQuery struct {
	Key  string `json:"metadataKey"`
	Text string `json:"text"`
}

// textKeys are the keys of configurations below a path.
func textKeys(configurations []textSearch, path string) ([]string, error) {
	if len(configurations) > vectors.TextsMax {
		return nil, invalid(path, "has %d configurations, the most is %d", len(configurations), vectors.TextsMax)
	}
	var keys []string
	for i, t := range configurations {
		if t.Key == "" {
			return nil, invalid(fmt.Sprintf("%s[%d].metadataKey", path, i), "is needed")
		}
		keys = append(keys, vectors.TextIn(t.Key, t.Language))
	}
	return keys, nil
}

func textSearches(keys []string) []textSearch {
	out := make([]textSearch, len(keys))
	for i, k := range keys {
		key, language := vectors.TextOf(k)
		out[i] = textSearch{Key: key, Language: language, Status: "ACTIVE"}
	}
	return out
}

// updateMetadata adds or deletes text searches of an index.
func updateMetadata(c *call) (any, error) {
	type searches struct {
		Text []textSearch `json:"textSearchConfigurations"`
	}
	in, err := decode[struct {
		indexName
		Add    *searches `json:"add"`
		Delete *searches `json:"delete"`
	}](c)
	if err != nil {
		return nil, err
	}
	bucket, name, err := c.target(in.indexName, false)
	if err != nil {
		return nil, err
	}
	if _, err := c.door.o.Engine.Index(c.ctx, bucket, name); err != nil {
		return nil, err
	}
	var add, remove []string
	switch {
	case (in.Add == nil) == (in.Delete == nil):
		return nil, invalid("add", "or delete is needed, and not both")
	case in.Add != nil:
		add, err = textKeys(in.Add.Text, "add.textSearchConfigurations")
	default:
		for i := range in.Delete.Text {
			in.Delete.Text[i].Language = "" // the key says which
		}
		remove, err = textKeys(in.Delete.Text, "delete.textSearchConfigurations")
	}
	if err != nil {
		return nil, err
	}
	if len(add)+len(remove) > 0 {
		if _, err := c.door.o.Engine.ChangeTexts(c.ctx, bucket, name, add, remove); err != nil {
			return nil, err
		}
	}
	return map[string]any{"indexArn": c.door.indexARN(bucket, name)}, nil
}
