package main

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

func pushClustering(c *scene) {
	topic := c.topic("T", 4)
	_, one := c.push(c.named("G"), topic, "*", nil)
	_, two := c.push(c.named("G"), topic, "*", nil)
	sent := 0
	c.await("both consumers take part", 60*time.Second, func() bool {
		c.sendMany(topic, fmt.Sprintf("warm%d", sent), 8)
		sent += 8
		time.Sleep(300 * time.Millisecond)
		return one.len() > 0 && two.len() > 0
	})
	c.sendMany(topic, "m", 40)
	total := func() int { return len(bodies(append(one.all(), two.all()...))) }
	c.await("all messages", 30*time.Second, func() bool { return total() >= sent+40 })
	c.expect("allConsumed", true, total() == sent+40)
	c.fact("properties", without(properties(one.all()[0]), "KEYS"))
}

func without(all map[string]string, key string) map[string]string {
	delete(all, key)
	return all
}

func pushBroadcasting(c *scene) {
	topic := c.topic("T", 4)
	_, one := c.push(c.named("G"), topic, "*", nil, consumer.WithConsumerModel(consumer.BroadCasting))
	_, two := c.push(c.named("G"), topic, "*", nil, consumer.WithConsumerModel(consumer.BroadCasting))
	// This client starts a broadcast group at the end, whatever it is told; so these messages come when it has begun.
	warm := 0
	c.await("both consumers take part", 60*time.Second, func() bool {
		c.sendMany(topic, fmt.Sprintf("warm%d", warm), 8)
		warm++
		time.Sleep(300 * time.Millisecond)
		return one.len() > 0 && two.len() > 0
	})
	c.sendMany(topic, "b", 20)
	fresh := func(s *seen) int {
		count := 0
		for _, body := range bodies(s.all()) {
			if strings.HasPrefix(body, "b-") {
				count++
			}
		}
		return count
	}
	c.await("20 messages each", 30*time.Second, func() bool { return fresh(one) >= 20 && fresh(two) >= 20 })
	c.expect("first", 20, fresh(one))
	c.expect("second", 20, fresh(two))
}

func pushRestart(c *scene) {
	topic := c.topic("T", 4)
	first, before := c.push(c.named("G"), topic, "*", nil)
	c.sendMany(topic, "before", 20)
	c.await("20 messages", 30*time.Second, func() bool { return before.len() >= 20 })
	time.Sleep(300 * time.Millisecond) // the offset moves after the listener's return
	c.must("shutdown", first.Shutdown())
	c.sendMany(topic, "after", 12)
	_, after := c.push(c.named("G"), topic, "*", nil)
	c.await("12 messages", 30*time.Second, func() bool { return after.len() >= 12 })
	time.Sleep(500 * time.Millisecond) // a wrong offset would bring more
	c.expect("before", 20, before.len())
	c.expect("after", 12, after.len())
}

func tagFilter(c *scene) {
	topic := c.topic("T", 4)
	_, two := c.push(c.named("TWO"), topic, "TagA || TagC", nil)
	_, colliding := c.push(c.named("HASH"), topic, "Aa", nil)
	_, all := c.push(c.named("ALL"), topic, "*", nil)
	for i := 0; i < 4; i++ {
		for _, tag := range []string{"TagA", "TagB", "TagC", "Aa", "BB", "", "标签"} {
			c.send(message(topic, tag, "", fmt.Sprintf("%s%d", tag, i)))
		}
	}
	c.await("all", 30*time.Second, func() bool { return all.len() >= 28 && two.len() >= 8 && colliding.len() >= 4 })
	c.expect("all", 28, all.len())
	c.expect("two", []string{"TagA0", "TagA1", "TagA2", "TagA3", "TagC0", "TagC1", "TagC2", "TagC3"}, bodies(two.all()))
	c.expect("colliding", []string{"Aa0", "Aa1", "Aa2", "Aa3"}, bodies(colliding.all()))
}

func orderly(c *scene) {
	topic := c.topic("T", 4)
	p := c.producer(producer.WithQueueSelector(producer.NewHashQueueSelector()))
	for i := 0; i < 25; i++ {
		for shard := 0; shard < 8; shard++ {
			m := message(topic, "A", "", fmt.Sprintf("%d:%03d", shard, i))
			m.WithShardingKey(fmt.Sprintf("shard-%d", shard))
			_, err := p.SendSync(context.Background(), m)
			c.must("send", err)
		}
	}
	var refusals atomic.Int64
	var lock sync.Mutex
	done := map[string][]string{}
	c.push(c.named("G"), topic, "*", func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, m := range messages {
			if string(m.Body) == "3:010" && refusals.Add(1) <= 2 {
				return consumer.SuspendCurrentQueueAMoment, nil
			}
		}
		lock.Lock()
		defer lock.Unlock()
		for _, m := range messages {
			shard := string(m.Body[:1])
			done[shard] = append(done[shard], string(m.Body))
		}
		return consumer.ConsumeSuccess, nil
	}, consumer.WithConsumerOrder(true), consumer.WithSuspendCurrentQueueTimeMillis(200*time.Millisecond), consumer.WithMaxReconsumeTimes(16))
	count := func() int {
		lock.Lock()
		defer lock.Unlock()
		total := 0
		for _, shard := range done {
			total += len(shard)
		}
		return total
	}
	c.await("200 messages", 60*time.Second, func() bool { return count() >= 200 })
	c.expect("consumed", 200, count())
	inOrder := true
	for _, shard := range done {
		inOrder = inOrder && sort.StringsAreSorted(shard)
	}
	c.expect("inOrder", true, inOrder)
	c.expect("shards", 8, len(done))
}

func delayLevel(c *scene) {
	topic := c.topic("T", 4)
	var lock sync.Mutex
	arrived := map[string]time.Duration{}
	_, got := c.push(c.named("G"), topic, "*", func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		lock.Lock()
		defer lock.Unlock()
		for _, m := range messages {
			arrived[string(m.Body)] = time.Since(time.UnixMilli(m.BornTimestamp))
		}
		return consumer.ConsumeSuccess, nil
	})
	c.sendMany(topic, "warm", 8)
	c.await("the consumer runs", 30*time.Second, func() bool { return got.len() >= 8 })
	for level := 0; level < 3; level++ {
		m := message(topic, "TagD", "delay-key", fmt.Sprintf("level %d", level))
		m.WithDelayTimeLevel(level)
		c.send(m)
	}
	c.await("3 messages", 25*time.Second, func() bool { return got.len() >= 11 })
	lock.Lock()
	defer lock.Unlock()
	c.expect("oneSecond", true, arrived["level 1"] > 950*time.Millisecond && arrived["level 1"] < 5*time.Second)
	c.expect("fiveSeconds", true, arrived["level 2"] > 4950*time.Millisecond && arrived["level 2"] < 9*time.Second)
	for _, m := range got.all() {
		if string(m.Body) == "level 1" {
			c.fact("properties", without(properties(m), "REAL_QID"))
		}
	}
}

func retryToDlq(c *scene) {
	topic := c.topic("T", 1)
	// The group's retry topic is made at its first heartbeat; the client looks for its route at the start, then every 30 s.
	early, _ := c.push(c.named("G"), topic, "*", nil)
	retryTopic := "%RETRY%" + c.named("G")
	c.await("route of the retry topic", 40*time.Second, func() bool { return len(c.queues(retryTopic)) > 0 })
	c.must("shutdown", early.Shutdown())
	_, got := c.push(c.named("G"), topic, "*", func(ctx context.Context, _ ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		if concurrent, ok := primitive.GetConcurrentlyCtx(ctx); ok {
			concurrent.DelayLevelWhenNextConsume = 1
		}
		return consumer.ConsumeRetryLater, nil
	}, consumer.WithMaxReconsumeTimes(2))
	c.sendMany(topic, "fails", 1)
	c.await("three deliveries", 60*time.Second, func() bool { return got.len() >= 3 })
	times := []int32{}
	for _, m := range got.all() {
		times = append(times, m.ReconsumeTimes)
	}
	c.expect("reconsumeTimes", []int32{0, 1, 2}, times)
	c.fact("topic", got.all()[1].Topic)
	c.fact("properties", properties(got.all()[1]))
	var dead []*primitive.MessageExt
	c.await("a dead letter", 40*time.Second, func() bool {
		dead = c.collectQuietly("%DLQ%" + c.named("G"))
		return len(dead) > 0
	})
	c.expect("deadLetters", 1, len(dead))
	c.fact("dlqReconsumeTimes", dead[0].ReconsumeTimes)
	c.fact("dlqProperties", properties(dead[0]))
}
