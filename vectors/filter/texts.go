package filter

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Texts are those of some fields of metadata that are text: a string, or the strings of an array with a
// line between them.
func Texts(metadata []byte, names []string) (map[string]string, error) {
	if len(metadata) == 0 {
		return nil, nil
	}
	if !mentions(metadata, names) {
		return nil, nil
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(metadata, &fields); err != nil {
		return nil, fail("", "is not JSON: %v", err)
	}
	out := map[string]string{}
	for _, name := range names {
		switch raw := fields[name]; first(raw) {
		case '"':
			var s string
			if err := json.Unmarshal(raw, &s); err != nil {
				return nil, fail(name, "is not JSON: %v", err)
			}
			out[name] = s
		case '[':
			var all []any
			if err := json.Unmarshal(raw, &all); err != nil {
				return nil, fail(name, "is not JSON: %v", err)
			}
			var parts []string
			for _, v := range all {
				if s, ok := v.(string); ok {
					parts = append(parts, s)
				}
			}
			out[name] = strings.Join(parts, "\n")
		}
	}
	return out, nil
}

// mentions is quick to say that no field is there. Names that JSON may write in another way count as
// mentioned.
func mentions(metadata []byte, names []string) bool {
	if bytes.IndexByte(metadata, '\\') >= 0 {
		return true
	}
	for _, name := range names {
		if bytes.Contains(metadata, []byte(name)) {
			return true
		}
	}
	return false
}
