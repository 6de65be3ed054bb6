package interop;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.HashMap;
import java.util.Map;

/** The few calls whose Java signature differs between the clients 4.9 and 5.x, so that one compilation runs with both. */
final class Compat {
    private Compat() {
    }

    /** MessageModel lives in another package since 5.0. */
    static void broadcasting(Object consumer) throws Exception {
        for (Method method : consumer.getClass().getMethods()) {
            if (method.getName().equals("setMessageModel")) {
                for (Object constant : method.getParameterTypes()[0].getEnumConstants()) {
                    if (constant.toString().equals("BROADCASTING")) {
                        call(method, consumer, constant);
                        return;
                    }
                }
            }
        }
        throw new NoSuchMethodException("setMessageModel");
    }

    /** MQAdmin.createTopic takes a map of attributes since 5.0. */
    static void createTopic(Object admin, String template, String topic, int queues) throws Exception {
        for (Method method : admin.getClass().getMethods()) {
            Class<?>[] types = method.getParameterTypes();
            if (!method.getName().equals("createTopic") || types.length < 3 || types[2] != int.class) {
                continue;
            }
            if (types.length == 3) {
                call(method, admin, template, topic, queues);
                return;
            }
            if (types.length == 4 && types[3] == Map.class) {
                call(method, admin, template, topic, queues, new HashMap<String, String>());
                return;
            }
        }
        throw new NoSuchMethodException("createTopic");
    }

    /** Heartbeats without subscriptions exist since 5.1; false where the client does not know them. */
    static boolean heartbeatV2(Object client) throws Exception {
        for (Method method : client.getClass().getMethods()) {
            if (method.getName().equals("setUseHeartbeatV2")) {
                call(method, client, true);
                return true;
            }
        }
        return false;
    }

    private static void call(Method method, Object target, Object... arguments) throws Exception {
        try {
            method.invoke(target, arguments);
        } catch (InvocationTargetException e) {
            if (e.getCause() instanceof Exception) {
                throw (Exception) e.getCause();
            }
            throw e;
        }
    }
}
