// A client that is ready to write to the workload's topic: connected, with a producer id, and aware of the partitions, so
// that the first record that is due pays for none of it.

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// readyBound is how long the client may take to be ready, where the start of the load leaves it less.
	readyBound = 10 * time.Second
	// openBound is how long it waits for connections to all brokers; one that is down does not hold up the rest.
	openBound = time.Second
	// askAgain is the wait between two questions for the topic.
	askAgain = 100 * time.Millisecond
)

// connect makes the client and waits until it is ready. ctx ends it sooner.
func connect(ctx context.Context, w *Workload, options *clientOptions) (*kgo.Client, error) {
	bound := readyBound
	if now := monotonicNs(); w.StartNs > now {
		bound = max(bound, time.Duration(w.StartNs-now))
	}
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	client, err := kgo.NewClient(options.all...)
	if err != nil {
		return nil, err
	}
	for {
		err = check(ctx, client, w)
		if err == nil || errors.Is(err, errPartitions) {
			break
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("not ready after %v: topic %q at %v: %w", bound, w.Topic, w.BootstrapServers, err)
		case <-time.After(askAgain):
		}
	}
	if err != nil {
		return nil, err
	}
	if _, _, err := client.ProducerID(ctx); err != nil {
		return nil, fmt.Errorf("no producer id from %v: %w", w.BootstrapServers, err)
	}
	open, cancelOpen := context.WithTimeout(ctx, openBound)
	defer cancelOpen()
	// A broker that cannot be reached now is connected to when it can.
	_ = client.EnsureProduceConnectionIsOpen(open)
	learn(ctx, client, w.Topic, options.batchBytes)
	return client, nil
}

// errPartitions is no matter of time.
var errPartitions = errors.New("another number of partitions")

// check asks for the topic: it has the partitions that the workload says, each with a leader.
func check(ctx context.Context, client *kgo.Client, w *Workload) error {
	request := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr(w.Topic)
	request.Topics = append(request.Topics, topic)
	answer, err := request.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	if len(answer.Topics) != 1 {
		return errors.New("the answer does not speak of it")
	}
	found := &answer.Topics[0]
	if err := kerr.ErrorForCode(found.ErrorCode); err != nil {
		return err
	}
	if len(found.Partitions) != int(w.Partitions) {
		return fmt.Errorf("%w: the workload says that topic %q has %d, it has %d", errPartitions, w.Topic, w.Partitions,
			len(found.Partitions))
	}
	for i := range found.Partitions {
		if partition := &found.Partitions[i]; partition.Leader < 0 {
			return fmt.Errorf("partition %d has no leader: %w", partition.Partition, kerr.ErrorForCode(partition.ErrorCode))
		}
	}
	return nil
}

// learn makes the client load the topic's partitions. It does that for the first record only, so it is given one that
// fits no batch: franz-go refuses it on the spot, once it knows the partitions, and sends nothing. (Where it does not even
// fit the buffer it is refused before, and the first record that is due pays for the look.)
func learn(ctx context.Context, client *kgo.Client, topic string, batchBytes int64) {
	refused := make(chan struct{})
	tooLarge := &kgo.Record{Topic: topic, Value: make([]byte, batchBytes+1)}
	client.TryProduce(context.Background(), tooLarge, func(*kgo.Record, error) { close(refused) })
	select {
	case <-refused:
	case <-ctx.Done():
	}
}
