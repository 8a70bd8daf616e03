package s3vectors

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"sort"
	"strings"
	"unicode/utf8"
)

// Limits of tags, as AWS has them.
const (
	tagsMax      = 50
	tagKeyMax    = 128
	tagValueMax  = 256
	arnBytesMax  = 1011
	tagsReserved = "aws:"
)

var tagChars = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// checkTags refuses tags that break a rule, the first by name.
func checkTags(tags map[string]string) error {
	names := make([]string, 0, len(tags))
	for name := range tags {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if err := checkTagKey("tags", name); err != nil {
			return err
		}
		if v := tags[name]; utf8.RuneCountInString(v) > tagValueMax || !tagChars.MatchString(v) {
			return invalid("tags."+name, "the value needs 0 to %d letters, digits, spaces and _ . : / = + - @", tagValueMax)
		}
	}
	return checkTagCount(len(tags))
}

func checkTagKey(path, name string) error {
	n := utf8.RuneCountInString(name)
	switch {
	case n < 1 || n > tagKeyMax || !tagChars.MatchString(name):
		return invalid(path, "%q is no tag key: it needs 1 to %d letters, digits, spaces and _ . : / = + - @", name, tagKeyMax)
	case strings.HasPrefix(strings.ToLower(name), tagsReserved):
		return invalid(path, "%q begins with aws:, which is reserved", name)
	}
	return nil
}

func checkTagCount(n int) error {
	if n > tagsMax {
		return invalid("tags", "would be %d, the most is %d", n, tagsMax)
	}
	return nil
}

// tagged is the resource that a request to /tags/{arn} is about, authorized.
func (c *call) tagged() (resource, error) {
	arn := strings.TrimPrefix(c.request.URL.Path, tagsPath)
	if len(arn) > arnBytesMax {
		return resource{}, invalid("resourceArn", "has %d characters, the most is %d", len(arn), arnBytesMax)
	}
	r, ok := resourceOf(arn)
	if !ok {
		return r, invalid("resourceArn", "is not the ARN of a vector bucket or an index")
	}
	return r, c.authorize(c.door.arnOf(r))
}

func (d *Door) arnOf(r resource) string {
	if r.index == "" {
		return d.bucketARN(r.bucket)
	}
	return d.indexARN(r.bucket, r.index)
}

func tagResource(c *call) (any, error) {
	in, err := decode[struct {
		Tags map[string]string `json:"tags"`
	}](c)
	if err != nil {
		return nil, err
	}
	r, err := c.tagged()
	if err != nil {
		return nil, err
	}
	if len(in.Tags) == 0 {
		return nil, invalid("tags", "is needed")
	}
	return struct{}{}, c.tag(r, in.Tags)
}

// tag adds tags to those that a resource has.
func (c *call) tag(r resource, tags map[string]string) error {
	if err := checkTags(tags); err != nil || len(tags) == 0 {
		return err
	}
	return c.door.change(c.ctx, r, func(s *settings) error {
		if s.Tags == nil {
			s.Tags = map[string]string{}
		}
		maps.Copy(s.Tags, tags)
		return checkTagCount(len(s.Tags))
	})
}

// mayTag checks the tags that something is to be made with, and the right to give them.
func (c *call) mayTag(arn string, tags map[string]string) error {
	if len(tags) == 0 {
		return nil
	}
	if err := c.authorizeTo("TagResource", arn); err != nil {
		return err
	}
	return checkTags(tags)
}

func untagResource(c *call) (any, error) {
	r, err := c.tagged()
	if err != nil {
		return nil, err
	}
	query, err := url.ParseQuery(c.request.URL.RawQuery)
	if err != nil {
		return nil, invalid("tagKeys", "cannot be read: %v", err)
	}
	keys := query["tagKeys"]
	if err := count("tagKeys", len(keys), tagsMax); err != nil {
		return nil, err
	}
	for _, k := range keys {
		if err := checkTagKey("tagKeys", k); err != nil {
			return nil, err
		}
	}
	return struct{}{}, c.door.change(c.ctx, r, func(s *settings) error {
		for _, k := range keys {
			delete(s.Tags, k)
		}
		return nil
	})
}

func listTags(c *call) (any, error) {
	r, err := c.tagged()
	if err != nil {
		return nil, err
	}
	s, _, err := c.door.settings(c.ctx, r)
	if err != nil {
		return nil, err
	}
	if s.Tags == nil {
		s.Tags = map[string]string{}
	}
	return map[string]any{"tags": s.Tags}, nil
}

const tagsPath = "/tags/"

// tagOperations are those of /tags/{arn}, by method.
var tagOperations = map[string]string{
	http.MethodGet: "ListTagsForResource", http.MethodPost: "TagResource", http.MethodDelete: "UntagResource",
}
