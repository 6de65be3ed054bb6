"""Codes that Blockhouse answers with code 3 and a sentence for now, unknown codes, one-way."""

from codes import NAMES
from remoting import BINARY
from steps import Step, case, namesrv

# docs/differences.md lists them. Three are not asked, because they change the reference for good: 908, 1008, 5001.
LATER = [37, 323, 324, 325, 354, 355, 370, 400, 401, 513, 905, 906, 908, 1007, 1008, 2001, 2002, 2003, 2004,
         3001, 3002, 3003, 3004, 3005, 3006, 3007, 3008, 3009, 3010, 5001,
         200050, 200051, 200052, 200053, 200054, 200055, 200056, 200151]
OBSOLETE = [13, 22, 23, 27, 47, 209, 210, 211, 212, 213, 214, 301, 302]
CONTROLLER = [1001, 1002, 1003, 1004, 1005, 1006, 1009, 1010, 1011, 1012, 1013]

NOT_YET = {"code": 3, "remark": "text"}
CASES = [case(f"later.{code}_{NAMES.get(code, 'unknown')}", Step(code), ours=NOT_YET) for code in LATER if code not in (5001, 908, 1008)]
CASES += [case(f"obsolete.{code}", Step(code)) for code in OBSOLETE]
CASES += [case(f"controller.{code}_at_broker", Step(code)) for code in CONTROLLER]
CASES += [case(f"controller.{code}_at_namesrv", namesrv(code)) for code in CONTROLLER]
CASES += [
    case("unknown.broker", Step(9999), Step(0), Step(-1), Step(2147483647)),
    case("unknown.namesrv", namesrv(9999), namesrv(0), namesrv(-1)),
    case("unknown.binary", Step(9999, encoding=BINARY), namesrv(9999, encoding=BINARY)),
    case("unknown.broker_code_at_namesrv", namesrv(310), namesrv(34), namesrv(11)),
    case("unknown.namesrv_code_at_broker", Step(105, {"topic": "TBW102"}), Step(106), Step(103)),
    case("oneway.unknown", Step(9999, oneway=True), namesrv(9999, oneway=True)),
    case("oneway.route", namesrv(105, {"topic": "none"}, oneway=True)),
    case("oneway.query", Step(30, {"topic": "TBW102", "queueId": 0}, oneway=True)),
    case("language.unknown", Step(30, {"topic": "TBW102", "queueId": 0}, language="COBOL")),
    case("version.zero", Step(30, {"topic": "TBW102", "queueId": 0}, version=0)),
    case("version.future", Step(30, {"topic": "TBW102", "queueId": 0}, version=9999)),
    case("version.negative", Step(30, {"topic": "TBW102", "queueId": 0}, version=-1)),
    case("version.binary_unknown_language", Step(30, {"topic": "TBW102", "queueId": 0}, language="OTHER", encoding=BINARY)),
]
