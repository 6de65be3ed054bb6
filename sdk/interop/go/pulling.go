package main

import (
	"context"
	"fmt"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

func (c *scene) puller(group, topic, tags string) (rocketmq.PullConsumer, error) {
	made, err := rocketmq.NewPullConsumer(c.consumerOptions(group, nil)...)
	if err != nil {
		return nil, err
	}
	if err := made.Subscribe(topic, consumer.MessageSelector{Type: consumer.TAG, Expression: tags}); err != nil {
		return nil, err
	}
	if err := made.Start(); err != nil {
		return nil, err
	}
	c.closers = append(c.closers, func() { _ = made.Shutdown() })
	return made, nil
}

// collectQuietly polls whatever a topic holds now, in a new group; empty where there is no such topic yet.
func (c *scene) collectQuietly(topic string) []*primitive.MessageExt {
	group := fmt.Sprintf("%s-%d", c.named("QUIET"), clients.Add(1))
	made, err := c.puller(group, topic, "*")
	if err != nil {
		return nil
	}
	var all []*primitive.MessageExt
	for quiet := 0; quiet < 2; {
		request, err := made.Poll(context.Background(), time.Second)
		if err != nil {
			quiet++
			continue
		}
		all = append(all, request.GetMsgList()...)
		made.ACK(context.Background(), request, consumer.ConsumeSuccess)
	}
	return all
}

func shown(result *primitive.PullResult, err error) string {
	if err != nil {
		return failure(err)
	}
	return fmt.Sprintf("status %d found %d next %d min %d max %d", result.Status, len(result.GetMessageExts()), result.NextBeginOffset,
		result.MinOffset, result.MaxOffset)
}

func pull(c *scene) {
	topic := c.topic("T", 1)
	for i := 0; i < 40; i++ {
		tag := "A"
		if i >= 38 {
			tag = "B"
		}
		c.send(message(topic, tag, "", fmt.Sprintf("m%d", i)))
	}
	queue := func() *primitive.MessageQueue {
		return &primitive.MessageQueue{Topic: topic, BrokerName: "broker-a", QueueId: 0}
	}
	all, err := c.puller(c.named("G"), topic, "*")
	c.must("pull consumer", err)
	c.expect("first", "status 0 found 32 next 32 min 0 max 40", shown(all.PullFrom(context.Background(), queue(), 0, 32)))
	c.expect("rest", "status 0 found 8 next 40 min 0 max 40", shown(all.PullFrom(context.Background(), queue(), 32, 32)))
	c.fact("farBeyond", shown(all.PullFrom(context.Background(), queue(), 4000, 32)))
	tagged, err := c.puller(c.named("B"), topic, "B")
	c.must("pull consumer", err)
	c.fact("tagB", shown(tagged.PullFrom(context.Background(), queue(), 32, 32)))
	offset, err := all.OffsetForTimestamp(queue(), time.Now().Add(time.Hour).UnixMilli())
	c.must("offset", err)
	c.fact("offsetForFuture", offset)
	offset, err = all.OffsetForTimestamp(queue(), 1)
	c.must("offset", err)
	c.fact("offsetForPast", offset)
}

func pullPoll(c *scene) {
	topic := c.topic("T", 4)
	c.sendMany(topic, "m", 20)
	c.expect("polled", 20, len(bodies(c.collectQuietly(topic))))
}
