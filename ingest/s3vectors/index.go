package s3vectors

import (
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/vectors"
	"github.com/tarnlake/tarn/vectors/distance"
)

func createIndex(c *call) (any, error) {
	in, err := decode[struct {
		bucketName
		Index     string `json:"indexName"`
		DataType  string `json:"dataType"`
		Dimension int    `json:"dimension"`
		Metric    string `json:"distanceMetric"`
		Metadata  *struct {
			NonFilterable []string     `json:"nonFilterableMetadataKeys"`
			Text          []textSearch `json:"textSearchConfigurations"`
		} `json:"metadataConfiguration"`
		Encryption *encryption       `json:"encryptionConfiguration"`
		Mode       string            `json:"indexMode"`
		Tags       map[string]string `json:"tags"`
	}](c)
	if err != nil {
		return nil, err
	}
	bucket, err := in.bucket()
	if err != nil {
		return nil, err
	}
	arn := c.door.indexARN(bucket, in.Index)
	if err := c.authorize(arn); err != nil {
		return nil, err
	}
	metric, _ := distance.ParseMetric(in.Metric)
	spec := vectors.Spec{Name: in.Index, Dimension: in.Dimension, Metric: metric}
	switch {
	case in.DataType != "float32":
		return nil, invalid("dataType", "%q is not float32", in.DataType)
	case in.Metric != "cosine" && in.Metric != "euclidean":
		return nil, invalid("distanceMetric", "%q is not cosine or euclidean", in.Metric)
	case in.Mode != "" && in.Mode != enhanced:
		return nil, checkMode("indexMode", in.Mode)
	}
	if err := c.mayTag(arn, in.Tags); err != nil {
		return nil, err
	}
	if err := in.Encryption.check(); err != nil {
		return nil, err
	}
	if in.Metadata != nil {
		if spec.Texts, err = textKeys(in.Metadata.Text, "metadataConfiguration.textSearchConfigurations"); err != nil {
			return nil, err
		}
		spec.NonFilterable = in.Metadata.NonFilterable
	}
	_, err = c.door.o.Engine.CreateIndexWith(c.ctx, bucket, spec, func(made vectors.Info) ([]index.Mutation, error) {
		return firstSettings(resource{bucket, in.Index}, made.Created, in.Tags)
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"indexArn": arn}, nil
}

func getIndex(c *call) (any, error) {
	in, err := decode[indexName](c)
	if err != nil {
		return nil, err
	}
	bucket, name, err := in.index()
	if err != nil {
		return nil, err
	}
	if err := c.authorize(c.door.indexARN(bucket, name)); err != nil {
		return nil, err
	}
	info, err := c.door.o.Engine.Index(c.ctx, bucket, name)
	if err != nil {
		return nil, err
	}
	out := c.summary(bucket, info)
	out["dataType"] = "float32"
	out["dimension"] = info.Dimension
	out["distanceMetric"] = info.Metric.String()
	out["indexMode"] = enhanced
	metadata := map[string]any{}
	if len(info.NonFilterable) > 0 {
		metadata["nonFilterableMetadataKeys"] = info.NonFilterable
	}
	if len(info.Texts) > 0 {
		metadata["textSearchConfigurations"] = textSearches(info.Texts)
	}
	if len(metadata) > 0 {
		out["metadataConfiguration"] = metadata
	}
	return map[string]any{"index": out}, nil
}

func (c *call) summary(bucket string, info vectors.Info) map[string]any {
	return map[string]any{
		"vectorBucketName": bucket, "indexName": info.Name,
		"indexArn": c.door.indexARN(bucket, info.Name), "creationTime": epoch(info.Created),
	}
}

func deleteIndex(c *call) (any, error) {
	in, err := decode[indexName](c)
	if err != nil {
		return nil, err
	}
	bucket, name, err := in.index()
	if err != nil {
		return nil, err
	}
	if err := c.authorize(c.door.indexARN(bucket, name)); err != nil {
		return nil, err
	}
	return struct{}{}, c.door.o.Engine.DeleteIndex(c.ctx, bucket, name)
}

func listIndexes(c *call) (any, error) {
	in, err := decode[struct {
		bucketName
		listing
	}](c)
	if err != nil {
		return nil, err
	}
	bucket, err := in.bucket()
	if err != nil {
		return nil, err
	}
	limit, after, err := in.open(c)
	if err != nil {
		return nil, err
	}
	if err := c.authorize(c.door.bucketARN(bucket)); err != nil {
		return nil, err
	}
	if _, err := c.door.o.Buckets.Bucket(c.ctx, bucket); err != nil {
		return nil, err
	}
	infos, err := c.door.o.Engine.Indexes(c.ctx, bucket, in.Prefix, after, limit+1)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	if len(infos) > limit {
		infos = infos[:limit]
		out["nextToken"] = tokenOf(c.op, infos[limit-1].Name)
	}
	found := make([]any, len(infos))
	for i, info := range infos {
		found[i] = c.summary(bucket, info)
	}
	out["indexes"] = found
	return out, nil
}
