/** Drawings of 24 by 24 units, as SVG paths drawn with a stroke. */

export const SPEECH = "M20 11.5a8 8 0 0 1-8 8c-1.2 0-2.4-.3-3.5-.8L4 20l1.3-4.2A8 8 0 1 1 20 11.5Z";
export const CLOSE = "M6 6l12 12M18 6 6 18";
export const MORE = "M5 12h.01M12 12h.01M19 12h.01";
export const SEND = "M5 12 19 5l-4 14-4-6-6-1Z";
export const ALERT = "M12 8v5M12 16.5h.01M10.3 4 2.6 17.5A2 2 0 0 0 4.3 20.5h15.4a2 2 0 0 0 1.7-3L13.7 4a2 2 0 0 0-3.4 0Z";
export const THUMB_UP = "M7 11v9H4v-9h3Zm0 0 4-7a2 2 0 0 1 2 2v4h5a2 2 0 0 1 2 2.3l-1 6A2 2 0 0 1 17 20H7";
export const THUMB_DOWN = "M7 13V4H4v9h3Zm0 0 4 7a2 2 0 0 0 2-2v-4h5a2 2 0 0 0 2-2.3l-1-6A2 2 0 0 0 17 4H7";
