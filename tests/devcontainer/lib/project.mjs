// A project with the sandbox template in it, brought up by the official CLI; remembers what that made, and removes it.
import { copyFile, readdir } from "node:fs/promises";
import path from "node:path";
import { SANDBOX, insert } from "./boxwood.mjs";
import { Person, docker } from "./person.mjs";

/** Where Debian keeps the certificate authorities that an administrator added. */
const HOST_AUTHORITIES = "/usr/local/share/ca-certificates";

export class Project {
  #layers = new Set();
  #steps = new Set();
  #volumes = new Set();

  static async create(name, options = {}) {
    const project = new Project();
    project.person = await Person.create();
    try {
      project.folder = await project.person.directory(name);
      await insert(project.folder, SANDBOX, options);
      await project.#addHostAuthorities();
      await project.person.owns(project.folder);
    } catch (error) {
      await project.person.remove();
      throw error;
    }
    return project;
  }

  /** Without them a build behind a TLS-inspecting proxy cannot reach the package registry. */
  async #addHostAuthorities() {
    const names = await readdir(HOST_AUTHORITIES).catch(() => []);
    for (const name of names.filter((one) => one.endsWith(".crt"))) {
      await copyFile(path.join(HOST_AUTHORITIES, name), path.join(this.folder, ".devcontainer/ca", name));
    }
  }

  #arguments(verb, rest) {
    return [verb, "--workspace-folder", this.folder, ...rest];
  }

  /** Builds the image; the result is the CLI's, also when it failed. */
  async build(...rest) {
    return this.#noteLayers(await this.person.devcontainer(this.#arguments("build", rest)));
  }

  /** Creates and starts, or starts, the container. */
  async up(...rest) {
    const result = this.#noteLayers(await this.person.must(this.#arguments("up", rest)));
    this.container = result.json.containerId;
    this.workspace = result.json.remoteWorkspaceFolder;
    const mounts = JSON.parse(await docker("inspect", "--format", "{{json .Mounts}}", this.container));
    for (const mount of mounts.filter(({ Type }) => Type === "volume")) this.#volumes.add(mount.Name);
    return result.json;
  }

  async read(...rest) {
    return (await this.person.must(this.#arguments("read-configuration", rest))).json;
  }

  /** Output of a command in the container, trimmed. */
  async exec(command, { env = {}, input } = {}) {
    const environment = Object.entries(env).flatMap(([name, value]) => ["--remote-env", `${name}=${value}`]);
    const { stdout } = await this.person.must(this.#arguments("exec", [...environment, ...command]), { input });
    return stdout.trim();
  }

  async inspect() {
    return JSON.parse(await docker("inspect", this.container))[0];
  }

  /** The host's address as the container sees it. */
  async hostAddress() {
    const { NetworkSettings } = await this.inspect();
    return Object.values(NetworkSettings.Networks)[0].Gateway;
  }

  /** The classic builder prints the id of every layer, and of every step's container; that of a failed step stays behind.
   * BuildKit prints none and keeps its cache elsewhere. */
  #noteLayers(result) {
    for (const [, id] of result.stderr.matchAll(/ ---> ([0-9a-f]{12})\b/g)) this.#layers.add(id);
    for (const [, id] of result.stderr.matchAll(/ ---> Running in ([0-9a-f]{12})\b/g)) this.#steps.add(id);
    for (const name of result.json?.imageName ?? []) this.#layers.add(name);
    return result;
  }

  async remove() {
    const containers = await docker("ps", "--all", "--quiet", "--filter", `label=devcontainer.local_folder=${this.folder}`);
    for (const id of containers.split("\n").filter(Boolean)) {
      this.#layers.add(await docker("inspect", "--format", "{{.Config.Image}}", id));
      await docker("rm", "--force", "--volumes", id);
    }
    for (const id of this.#steps) await docker("rm", "--force", id).catch(() => {});
    for (const name of this.#volumes) await docker("volume", "rm", "--force", name);
    await this.#removeImages();
    await this.person.remove();
  }

  /** Newest first, since an image goes only after those made from it. One that somebody else uses too refuses to, and stays. */
  async #removeImages() {
    for (const image of [...this.#layers].reverse()) {
      const base = await docker("image", "inspect", "--format", "{{json .RepoTags}}", image).catch(() => "[]");
      const isOurs = JSON.parse(base).every((tag) => tag.startsWith("vsc-"));
      if (isOurs) await docker("image", "rm", image).catch(() => {});
    }
  }
}
