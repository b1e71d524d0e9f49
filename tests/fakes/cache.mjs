// Where downloads are kept between test runs; the same place as in testbed/lib.sh.
import { homedir } from "node:os";
import path from "node:path";

export function testbedCache({ BOXWOOD_TESTBED_CACHE, XDG_CACHE_HOME } = process.env) {
  return BOXWOOD_TESTBED_CACHE ?? path.join(XDG_CACHE_HOME ?? path.join(homedir(), ".cache"), "boxwood-testbed");
}
