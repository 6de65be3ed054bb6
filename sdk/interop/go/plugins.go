package main

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// What this client sees of the bundled plugins. They are bound as harness/plugins.py says; only its part runs these scenarios.

const quarantine = "anonymous is in quarantine: ask the operator of this broker"

// told is what an error says, empty without one.
func told(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func pluginSend(c *scene) {
	topic := c.topic("GUARDED", 2)
	m := message(topic, "A", "k", "refused")
	_, err := c.producer().SendSync(context.Background(), m)
	c.expect("sync", "broker 16", failure(err))
	c.expect("toldWhy", true, strings.Contains(told(err), quarantine))
	_, err = c.producer().SendSync(context.Background(), m, message(topic, "A", "k", "too"))
	c.expect("batch", "broker 16", failure(err))
	async := make(chan error, 1)
	c.must("send", c.producer().SendAsync(context.Background(), func(_ context.Context, _ *primitive.SendResult, err error) { async <- err }, m))
	select {
	case err = <-async:
		c.expect("async", "broker 16", failure(err))
	case <-time.After(20 * time.Second):
		c.fail("no answer to an asynchronous send")
	}
	c.must("one-way", c.producer().SendOneWay(context.Background(), m))
	open := c.topic("OPEN", 1)
	c.send(message(open, "A", "k", "stored"))
	c.expect("storedElsewhere", []string{"stored"}, bodies(c.collect(open, 1)))
	c.expect("stored", 0, len(c.collectQuietly(topic)))
}

func pluginPull(c *scene) {
	topic := c.topic("GUARDED", 1)
	c.sendMany(topic, "m", 4)
	made, err := c.puller(c.named("KEPTOUT-PULL"), topic, "*")
	c.must("pull consumer", err)
	_, err = made.PullFrom(context.Background(), &primitive.MessageQueue{Topic: topic, BrokerName: "broker-a", QueueId: 0}, 0, 32)
	c.expect("pull", "unknown Response Code: 16, remark: "+quarantine, strings.Split(told(err), " [")[0])
	_, keptOut := c.push(c.named("KEPTOUT-PUSH"), topic, "*", nil)
	_, others := c.push(c.named("ANYBODY"), topic, "*", nil)
	c.await("4 messages", 30*time.Second, func() bool { return others.len() >= 4 })
	time.Sleep(4 * time.Second) // a push consumer asks again 3 s after it was refused
	c.expect("others", 4, others.len())
	c.expect("keptOut", 0, keptOut.len())
}

func pluginRate(c *scene) {
	topic := c.topic("LIMITED", 1)
	accepted, outcomes, why := 0, map[string]bool{}, ""
	for i := 0; i < 40; i++ {
		_, err := c.producer().SendSync(context.Background(), message(topic, "A", "k", fmt.Sprintf("m%d", i)))
		outcomes[failure(err)] = true
		if err == nil {
			accepted++
		} else {
			why = told(err)
		}
	}
	c.expect("outcomes", map[string]bool{"none": true, "broker 215": true}, outcomes)
	c.expect("toldWhy", true, strings.Contains(why, "may send 2 messages per second: send slower"))
	c.expect("storedAsAccepted", true, len(c.collectQuietly(topic)) == accepted)
}

func pluginRoute(c *scene) {
	topic := c.named("HIDDEN")
	_, err := c.administration().FetchPublishMessageQueues(context.Background(), topic)
	c.expect("queues", true, strings.Contains(told(err), quarantine))
	open := c.topic("OPEN", 1)
	c.send(message(open, "A", "k", "stored"))
	c.expect("elsewhere", []string{"stored"}, bodies(c.collect(open, 1)))
}

func pluginRegistration(c *scene) {
	_, err := c.producer().SendSync(context.Background(), message(c.named("T"), "A", "k", "nowhere"))
	c.expect("sent", false, err == nil)
	c.fact("toldWhy", told(err))
	c.expect("queues", 0, len(c.queues(c.named("T"))))
}

func pluginFilter(c *scene) {
	topic := c.topic("MASKED", 2)
	body := func(id, name, card string) string {
		return fmt.Sprintf(`{"id": "%s", "name":"%s", "card":"%s","price":1.50}`, id, name, card)
	}
	var masked, maskedA []string
	for i := 0; i < 4; i++ {
		for _, tag := range []string{"TagA", "TagB", "internal"} {
			id := fmt.Sprintf("%s%d", tag, i)
			m := message(topic, tag, id, body(id, "Ann", "123456789012"))
			m.WithProperty("colour", "blüe")
			c.send(m)
			if tag == "TagA" {
				maskedA = append(maskedA, body(id, "***", "***9012"))
			}
			if tag != "internal" {
				masked = append(masked, body(id, "***", "***9012"))
			}
		}
	}
	sort.Strings(masked)
	c.send(message(topic, "TagA", "text", "no JSON, Ann 123456789012"))
	_, shown := c.push(c.named("SHOWN"), topic, "*", nil)
	_, all := c.push(c.named("MASKED-ALL"), topic, "*", nil)
	_, tagged := c.push(c.named("MASKED-TAG"), topic, "TagA", nil)
	c.await("all that is to come", 30*time.Second, func() bool { return shown.len() >= 13 && all.len() >= 8 && tagged.len() >= 4 })
	time.Sleep(500 * time.Millisecond) // what is hidden would come by now
	c.expect("shown", 13, shown.len())
	c.expect("all", masked, bodies(all.all()))
	c.expect("allOnce", 8, all.len())
	c.expect("tagged", maskedA, bodies(tagged.all()))
	c.expect("taggedOnce", 4, tagged.len())
	stored := map[string]string{}
	for _, m := range shown.all() {
		stored[m.GetKeys()] = allButTheBody(m)
	}
	for _, m := range all.all() {
		c.expect("rest of "+m.GetKeys(), stored[m.GetKeys()], allButTheBody(m))
	}
}

// What becomes of a message on its way in, and what its producer is told of it; and a group that may not pull.
func pluginFates(c *scene) {
	topic := c.topic("FATES", 1)
	elsewhere := "plugin-fates-ELSEWHERE" // the rule names it: of all that is in it one message is this run's
	for _, broker := range c.brokers {
		c.must("create topic", c.administration().CreateTopic(context.Background(), admin.WithTopicCreate(elsewhere),
			admin.WithBrokerAddrCreate(broker), admin.WithReadQueueNums(1), admin.WithWriteQueueNums(1)))
	}
	c.await("route of "+elsewhere, 40*time.Second, func() bool { return len(c.queues(elsewhere)) == len(c.brokers) })
	_, err := c.producer().SendSync(context.Background(), message(topic, "A", "k", "poison"))
	c.expect("rejected", "broker 13", failure(err))
	c.expect("toldWhy", true, strings.Contains(told(err), "the sample refuses this body"))
	c.expect("dropped", int64(-1), c.send(message(topic, "A", "k", "spam")).QueueOffset)
	c.send(message(topic, "A", "k", "elsewhere of "+topic))
	_, err = c.producer().SendSync(context.Background(), message(topic, "A", "k", "guarded"))
	c.expect("reroutedToAGuardedTopic", "broker 16", failure(err))
	c.expect("toldByTheGuard", true, strings.Contains(told(err), quarantine))
	c.expect("changed", int64(0), c.send(message(topic, "A", "k", "my card 1234")).QueueOffset)
	c.expect("stored", []string{"my card ****"}, bodies(c.collect(topic, 1)))
	_, there := c.push(c.named("ELSEWHERE"), elsewhere, "*", nil)
	c.await("what was rerouted", 30*time.Second, func() bool {
		for _, m := range there.all() {
			if string(m.Body) == "elsewhere of "+topic {
				return true
			}
		}
		return false
	})
	made, err := c.puller("plugin-fates-BLOCKED", topic, "*")
	c.must("pull consumer", err)
	_, err = made.PullFrom(context.Background(), &primitive.MessageQueue{Topic: topic, BrokerName: "broker-a", QueueId: 0}, 0, 32)
	c.expect("pull", true, strings.Contains(told(err), "the sample refuses the group"))
}

// What has no tag is refused, alone and in a batch; a node that runs a plugin from a template says so (plugins/languages).
func pluginRequiredTag(c *scene) {
	topic := c.topic("T", 1)
	bare := primitive.NewMessage(topic, []byte("bare"))
	c.send(message(topic, "A", "k", "tagged"))
	_, err := c.producer().SendSync(context.Background(), bare)
	c.expect("bare", "broker 16", failure(err))
	c.expect("toldWhy", true, strings.Contains(told(err), "set the property TAGS"))
	_, err = c.producer().SendSync(context.Background(), message(topic, "A", "k", "b1"), bare)
	c.expect("batch", "broker 16", failure(err))
	_, seen := c.push(c.named("G"), topic, "A", nil)
	c.await("1 message", 30*time.Second, func() bool { return seen.len() >= 1 })
	c.expect("stored", []string{"tagged"}, bodies(c.collectQuietly(topic)))
}

func allButTheBody(m *primitive.MessageExt) string {
	properties := without(without(m.GetProperties(), "CONSUME_START_TIME"), "MAX_OFFSET")
	return fmt.Sprint(m.MsgId, m.OffsetMsgId, " ", m.Queue.QueueId, "@", m.QueueOffset, " at ", m.CommitLogOffset, " born ", m.BornTimestamp,
		" stored ", m.StoreTimestamp, " flag ", m.Flag, m.SysFlag, m.ReconsumeTimes, properties)
}
