/** Style sheets are bundled as text and adopted by script: nothing inline for a strict policy to forbid. */
declare module "*.css" {
  const text: string;
  export default text;
}
