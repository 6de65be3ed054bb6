package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

func sendSync(c *scene) {
	topic := c.topic("T", 4)
	places := map[string]bool{}
	var last *primitive.SendResult
	for i := 0; i < 8*len(c.brokers); i++ {
		m := message(topic, "TagA", "go-key", fmt.Sprintf("body é世 %d", i%10))
		m.WithProperty("colour", "blüe")
		m.Flag = 7
		last = c.send(m)
		places[fmt.Sprintf("%s %d@%d", last.MessageQueue.BrokerName, last.MessageQueue.QueueId, last.QueueOffset)] = true
	}
	c.expect("places", 8*len(c.brokers), len(places))
	c.fact("msgIdLength", len(last.MsgID))
	c.expect("offsetMsgIdLength", 32, len(last.OffsetMsgID))
	c.fact("regionId", last.RegionID)
	c.fact("traceOn", last.TraceOn)
	stored := c.collect(topic, 8*len(c.brokers))
	c.expect("stored", 8*len(c.brokers), len(stored))
	m := stored[0]
	c.fact("properties", properties(m))
	c.fact("storeSize", m.StoreSize)
	c.fact("sysFlag", m.SysFlag)
	c.fact("flag", m.Flag)
	c.expect("reconsumeTimes", int32(0), m.ReconsumeTimes)
	c.expect("body", true, strings.HasPrefix(string(m.Body), "body é世 "))
	c.fact("bornHost", strings.Split(m.BornHost, ":")[0])
}

func sendAsync(c *scene) {
	topic := c.topic("T", 4)
	var done sync.WaitGroup
	var accepted, refused atomic.Int64
	for i := 0; i < 50; i++ {
		done.Add(1)
		c.must("send", c.producer().SendAsync(context.Background(), func(_ context.Context, result *primitive.SendResult, err error) {
			defer done.Done()
			if err == nil && result.Status == primitive.SendOK {
				accepted.Add(1)
			} else {
				refused.Add(1)
			}
		}, message(topic, "A", "", fmt.Sprintf("async %d", i))))
	}
	done.Wait()
	c.expect("accepted", int64(50), accepted.Load())
	c.expect("refused", int64(0), refused.Load())
	c.expect("stored", 50, len(bodies(c.collect(topic, 50))))
}

func sendOneway(c *scene) {
	topic := c.topic("T", 4)
	for i := 0; i < 20; i++ {
		c.must("send", c.producer().SendOneWay(context.Background(), message(topic, "A", "", fmt.Sprintf("oneway %d", i))))
	}
	c.expect("stored", 20, len(bodies(c.collect(topic, 20))))
}

func sendBatch(c *scene) {
	topic := c.topic("T", 4)
	messages := make([]*primitive.Message, 0, 10)
	for i := 0; i < 10; i++ {
		messages = append(messages, message(topic, "Tag", fmt.Sprintf("batch-%d", i), fmt.Sprintf("batch %d", i)))
	}
	result, err := c.producer().SendSync(context.Background(), messages...)
	c.must("send", err)
	c.expect("status", primitive.SendOK, result.Status)
	c.expect("queueOffset", int64(0), result.QueueOffset)
	c.fact("offsetMsgIds", len(strings.Split(result.OffsetMsgID, ",")))
	stored := c.collect(topic, 10)
	c.expect("stored", 10, len(stored))
	sort.Slice(stored, func(i, j int) bool { return stored[i].QueueOffset < stored[j].QueueOffset })
	run := make([]string, 0, 10)
	for _, m := range stored {
		run = append(run, fmt.Sprintf("%d=%s", m.QueueOffset, m.GetKeys()))
	}
	c.expect("run", "0=batch-0 1=batch-1 2=batch-2 3=batch-3 4=batch-4 5=batch-5 6=batch-6 7=batch-7 8=batch-8 9=batch-9", strings.Join(run, " "))
	c.fact("properties", properties(stored[0]))
	c.fact("storeSize", stored[0].StoreSize)
}

func sendBig(c *scene) {
	topic := c.topic("T", 1)
	compressible := bytes.Repeat([]byte{'x'}, 64*1024)
	random := make([]byte, 1024*1024)
	rand.New(rand.NewSource(1)).Read(random)
	c.send(primitive.NewMessage(topic, compressible))
	c.send(primitive.NewMessage(topic, random))
	stored := c.collect(topic, 2)
	sort.Slice(stored, func(i, j int) bool { return len(stored[i].Body) < len(stored[j].Body) })
	c.expect("compressibleIntact", true, bytes.Equal(compressible, stored[0].Body))
	c.expect("randomIntact", true, bytes.Equal(random, stored[1].Body))
	c.fact("storeSizes", []int32{stored[0].StoreSize, stored[1].StoreSize})
	c.fact("sysFlags", []int32{stored[0].SysFlag, stored[1].SysFlag})
}

func sendErrors(c *scene) {
	topic := c.topic("T", 1)
	p := c.producer(producer.WithCompressMsgBodyOverHowmuch(16 * 1024 * 1024))
	_, err := p.SendSync(context.Background(), primitive.NewMessage(topic, make([]byte, 5*1024*1024)))
	c.expect("oversize", "broker 13", failure(err))
	wordy := primitive.NewMessage(topic, []byte("x"))
	wordy.WithProperty("wordy", strings.Repeat("p", 33_000))
	_, err = p.SendSync(context.Background(), wordy)
	c.expect("wordy", "broker 13", failure(err))
	_, err = p.SendSync(context.Background(), primitive.NewMessage("a/../b", []byte("x")))
	c.expect("badTopicRefused", true, err != nil)
	c.send(message(topic, "A", "", "afterwards"))
	c.expect("stored", []string{"afterwards"}, bodies(c.collect(topic, 1)))
}

func sendUnknownTopic(c *scene) {
	topic := c.named("NEW")
	c.send(message(topic, "A", "k", "first"))
	c.await("it can be consumed", 40*time.Second, func() bool { return len(c.collectQuietly(topic)) == 1 })
	c.fact("stored", bodies(c.collectQuietly(topic)))
}
