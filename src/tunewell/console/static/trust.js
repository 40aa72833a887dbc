// The only place where text becomes markup, or the address of a script: answers of this server, and files of this build.
const build = document.body.dataset.build;

function ofBuild(address) {
  const { origin, pathname } = new URL(address, location);
  if (origin !== location.origin || !pathname.startsWith(build)) throw new TypeError(`${address} is no file of this build`);
  return address;
}

const plain = { createHTML: (html) => html, createScriptURL: ofBuild };
export const trusted = self.trustedTypes?.createPolicy("tunewell", plain) ?? plain;
