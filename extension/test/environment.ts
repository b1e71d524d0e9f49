// The tests' own environment is nobody's in particular: what a job or a person has set there is not what is tested.
import { credentialVariables } from "../src/generated/protocol";

for (const name of credentialVariables) Reflect.deleteProperty(process.env, name);
